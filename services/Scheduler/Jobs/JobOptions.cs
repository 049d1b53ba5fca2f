using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Jobs;

/// <summary>How long a job waits for its trainers.</summary>
public sealed class JobOptions
{
    public const string SectionName = "Jobs";

    /// <summary>On cancellation and pause, and on eviction for the ranks on other nodes: time for a last checkpoint.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan CancelGrace { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>After one rank's failure: time for the others to notice. They cannot write a checkpoint without it.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan FailureGrace { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>After the first rank is done: time for the others, which are a last checkpoint's write apart.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan FinishGrace { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>From granting devices until every agent has confirmed the launch, while agents are reconnecting.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan LaunchDeadline { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// From the grant, or from the last sign of life, until a rank trains: loading libtorch, data and a checkpoint on a busy machine. Ranks
    /// that list a large data set, or wait for one that does, say so every few seconds.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:05", "1.00:00:00")]
    public TimeSpan StartDeadline { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// From when a rank says that its step hangs, until the attempt ends as failed. Longer than exchanges wait for a peer, which most often
    /// end it sooner, and than a store or a disk is commonly slow.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:10", "7.00:00:00")]
    public TimeSpan HangLimit { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Between two tries of what an agent has not confirmed: a launch while it reconnects, a stop. Also how often it is looked at whether
    /// heartbeats show that a stopped attempt runs no more, so that less than a heartbeat's interval gains nothing.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan RetryInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// A scheduler that has taken up due work of a job is done with it after so long, or another takes it up as well, which is harmless: a
    /// job's grain does one thing at a time. Longer than a call to a slow agent commonly takes.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan ClaimTerm { get; set; } = TimeSpan.FromSeconds(10);
}
