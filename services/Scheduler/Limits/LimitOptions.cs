using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Limits;

/// <summary>
/// How much one caller may ask of a scheduler, so that nobody takes it from the others. Of each scheduler by itself; administrators are not
/// limited, since theirs is the token that is needed when things go wrong.
/// </summary>
public sealed class LimitOptions
{
    public const string SectionName = "Limits";

    /// <summary>Calls that an owner may go on making each second; a page of the dashboard makes some in that time, a script tens.</summary>
    [Range(1, 1_000_000)]
    public int CallsPerSecond { get; set; } = 100;

    /// <summary>Calls that an owner may make at once after a quiet time: a script that submits a few hundred jobs does.</summary>
    [Range(1, 1_000_000)]
    public int CallBurst { get; set; } = 1000;

    /// <summary>An owner's calls at one time that answer once; of these a few wait for a node.</summary>
    [Range(1, 100_000)]
    public int CallsAtOnce { get; set; } = 100;

    /// <summary>Streams that an owner may hold open: a page of the dashboard has one or two, and so has a watching command line.</summary>
    [Range(1, 100_000)]
    public int StreamsAtOnce { get; set; } = 200;

    /// <summary>An owner's uploads at one time: each holds up to 24 MiB of the scheduler's memory.</summary>
    [Range(1, 1000)]
    public int UploadsAtOnce { get; set; } = 4;

    /// <summary>Bytes of one imported file. The largest network here has well under one GiB of weights.</summary>
    [Range(1L << 20, 1L << 50)]
    public long ImportBytes { get; set; } = 16L << 30;

    /// <summary>An owner's jobs that are not over: a search or an array of thousands fits, and a loop that never ends is stopped.</summary>
    [Range(1, 10_000_000)]
    public int JobsPerOwner { get; set; } = 20_000;

    /// <summary>Points of metrics in one report; a rank sends tens.</summary>
    [Range(100, 1_000_000)]
    public int PointsPerReport { get; set; } = 50_000;

    /// <summary>Series of metrics of one job, each by a name; a trainer has tens. All are looked through where a chart is drawn.</summary>
    [Range(10, 100_000)]
    public int SeriesPerJob { get; set; } = 1000;

    /// <summary>Connections that a scheduler holds, whoever they are from: thousands of nodes and clients, of some KB each.</summary>
    [Range(100, 10_000_000)]
    public int Connections { get; set; } = 20_000;

    /// <summary>Calls at one time on one connection; gRPC's clients open a further one beyond it.</summary>
    [Range(10, 10_000)]
    public int CallsPerConnection { get; set; } = 100;

    /// <summary>
    /// So long a caller may take to send a call's headers. A client on the slowest line takes less than a second; one that sends a byte now
    /// and then holds a connection for nothing.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan HeadersTimeout { get; set; } = TimeSpan.FromSeconds(10);
}
