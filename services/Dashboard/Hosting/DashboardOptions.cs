using System.ComponentModel.DataAnnotations;

namespace Cluster.Dashboard.Hosting;

/// <summary>Where the dashboard listens, and which schedulers it asks.</summary>
public sealed class DashboardOptions
{
    public const string SectionName = "Dashboard";

    /// <summary>IP address of the interface to listen on. Loopback by default: opening it to a network is a decision.</summary>
    [Required]
    public string ListenAddress { get; set; } = "127.0.0.1";

    /// <summary>Port for browsers.</summary>
    [Range(1, 65535)]
    public int HttpPort { get; set; } = 7080;

    /// <summary>A scheduler's address for gRPC, or several with commas between: calls go to one that answers.</summary>
    [Required]
    public string SchedulerAddress { get; set; } = "http://127.0.0.1:7070";

    /// <summary>
    /// Folder of sessions and of the keys that they are sealed with. Replicas behind one address share it, so that each knows the others'
    /// sessions; without one a session ends with this process.
    /// </summary>
    public string KeyFolder { get; set; } = "";

    /// <summary>How long a session lasts beyond its last visit. Default 7 days: a farm is looked at most days.</summary>
    [Range(typeof(TimeSpan), "00:05:00", "90.00:00:00")]
    public TimeSpan SessionLength { get; set; } = TimeSpan.FromDays(7);

    /// <summary>
    /// How many of the newest jobs lists, counts and searches go through. More take longer to load, and memory: a kilobyte each.
    /// </summary>
    [Range(100, 1_000_000)]
    public int NewestJobs { get; set; } = 20_000;
}
