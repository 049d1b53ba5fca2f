using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Hosting;

/// <summary>Where the scheduler listens. Two ports, because without TLS a port speaks HTTP/1.1 or HTTP/2, not both.</summary>
public sealed class SchedulerOptions
{
    public const string SectionName = "Scheduler";

    /// <summary>IP address of the interface to listen on. Loopback by default: opening it to a network is a decision.</summary>
    [Required]
    public string ListenAddress { get; set; } = "127.0.0.1";

    /// <summary>Port for gRPC over HTTP/2 without TLS.</summary>
    [Range(1, 65535)]
    public int GrpcPort { get; set; } = 7070;

    /// <summary>Port for the dashboard and the probes.</summary>
    [Range(1, 65535)]
    public int HttpPort { get; set; } = 7080;
}
