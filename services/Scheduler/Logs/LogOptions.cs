using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Logs;

/// <summary>How much of the jobs' logs is kept, and for how long. What went is told in the log, where it was.</summary>
public sealed class LogOptions
{
    public const string SectionName = "Logs";

    /// <summary>
    /// Of one job, in bytes with 64 a line beside its text; beyond it the oldest lines go. Two million lines of ordinary length by
    /// default: more than anybody reads, and a noisy job does not fill the store.
    /// </summary>
    [Range(1 << 20, 1L << 40)]
    public long MaxBytesPerJob { get; set; } = 256 << 20;

    /// <summary>After a job's end. A quarter of a year by default: longer than anybody asks why it failed.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "3650.00:00:00")]
    public TimeSpan KeepFor { get; set; } = TimeSpan.FromDays(90);

    /// <summary>How often what is too old is looked for; what is too much goes as soon as it is written.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromMinutes(5);
}
