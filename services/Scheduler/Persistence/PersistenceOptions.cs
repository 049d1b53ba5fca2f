using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Persistence;

/// <summary>Where the scheduler keeps everything, and how long it tries.</summary>
public sealed class PersistenceOptions
{
    public const string SectionName = "Persistence";

    /// <summary>
    /// Npgsql's form: "Host=/run/postgresql;Username=cluster;Database=cluster". There is no default: nothing runs without it.
    /// </summary>
    [Required]
    public string ConnectionString { get; set; } = "";

    /// <summary>
    /// Tries after the first, for faults that pass (a restarted server, a deadlock). Three cover a server's fast restart.
    /// </summary>
    [Range(0, 10)]
    public int Retries { get; set; } = 3;

    /// <summary>Pause before the first repetition; it doubles, with jitter.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:10")]
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromMilliseconds(200);
}
