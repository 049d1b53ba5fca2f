using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Hosting;

/// <summary>Where this scheduler's grains are reached by the other schedulers on the same database.</summary>
public sealed class SiloOptions
{
    public const string SectionName = "Silo";

    /// <summary>IP address of the interface to listen on. Loopback by default: opening it to a network is a decision.</summary>
    [Required]
    public string ListenAddress { get; set; } = "127.0.0.1";

    /// <summary>
    /// TCP port. Fixed, since a scheduler that starts again where one was killed knows by it that the old one is gone, and need not wait
    /// until others would have noticed. Several schedulers on one machine need a port each.
    /// </summary>
    [Range(1, 65535)]
    public int Port { get; set; } = 7090;

    /// <summary>
    /// IP address that the others are told, which this machine need not have itself; by default the one listened on. Needed where that is
    /// 0.0.0.0.
    /// </summary>
    public string? AdvertisedAddress { get; set; }

    /// <summary>Port that the others are told, where a mapping changes it; by default <see cref="Port"/>.</summary>
    [Range(1, 65535)]
    public int? AdvertisedPort { get; set; }

    /// <summary>Schedulers of one name on one database are one cluster; another name keeps out who connects by mistake.</summary>
    [Required]
    public string ClusterId { get; set; } = "cluster";

    /// <summary>Where the others find it: "10.0.0.7:7090".</summary>
    public string Address => $"{(string.IsNullOrEmpty(AdvertisedAddress) ? ListenAddress : AdvertisedAddress)}:{AdvertisedPort ?? Port}";
}
