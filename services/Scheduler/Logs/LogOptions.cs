using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Logs;

/// <summary>How much of the jobs' logs is kept. What went is told in the log, where it was.</summary>
public sealed class LogOptions
{
    public const string SectionName = "Logs";

    /// <summary>
    /// Of one job, in bytes with 64 a line beside its text; beyond it the oldest lines go. Two million lines of ordinary length by
    /// default: more than anybody reads, and a noisy job does not fill the store.
    /// </summary>
    [Range(1 << 20, 1L << 40)]
    public long MaxBytesPerJob { get; set; } = 256 << 20;
}
