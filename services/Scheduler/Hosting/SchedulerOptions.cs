using System.ComponentModel.DataAnnotations;
using Cluster.Contracts.Access;

namespace Cluster.Scheduler.Hosting;

/// <summary>Where the scheduler listens. Two ports, because without TLS a port speaks HTTP/1.1 or HTTP/2, not both; with TLS as well, so
/// that clients differ in the scheme alone.</summary>
public sealed class SchedulerOptions
{
    public const string SectionName = "Scheduler";

    /// <summary>IP address of the interface to listen on. Loopback by default: opening it to a network is a decision.</summary>
    [Required]
    public string ListenAddress { get; set; } = "127.0.0.1";

    /// <summary>Port for gRPC over HTTP/2.</summary>
    [Range(1, 65535)]
    public int GrpcPort { get; set; } = 7070;

    /// <summary>Port for REST over HTTP/1.1 and the probes. Not 7080, which is the dashboard's.</summary>
    [Range(1, 65535)]
    public int HttpPort { get; set; } = 7081;

    /// <summary>
    /// A gRPC client that has sent nothing for so long is asked by an HTTP/2 ping whether it is still there. Together with
    /// <see cref="PingTimeout"/> well within half a minute, so that watchers behind a relay that forwards one way only are told in time;
    /// not so often that a slow line minds.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan PingDelay { get; set; } = ConnectionPings.Patient.Delay;

    /// <summary>A client that has not answered a ping for so long is taken for gone, and its calls are over.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan PingTimeout { get; set; } = ConnectionPings.Patient.Timeout;
}
