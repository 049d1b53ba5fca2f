using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Retention;

/// <summary>How long what is written down is kept: what jobs leave behind, and who did what. 0 anywhere: for ever.</summary>
public sealed class RetentionOptions
{
    public const string SectionName = "Retention";

    private const string Longest = "36500.00:00:00";

    /// <summary>
    /// A metric's points, after they were stored. A quarter of a year by default: curves stay as long as their jobs do, in at most 12,288
    /// points each; all points are for who computes with them, soon after.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Metrics { get; set; } = TimeSpan.FromDays(90);

    /// <summary>
    /// Log lines, after they were stored, also of a job that goes on. A quarter of a year by default: longer than anybody asks why a job
    /// failed.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Logs { get; set; } = TimeSpan.FromDays(90);

    /// <summary>
    /// Which states a job went through, after its end; the last event stays with it. A year by default: reports ask for years.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Events { get; set; } = TimeSpan.FromDays(365);

    /// <summary>
    /// Finished jobs with all that is theirs, checkpoints too, after their end. For ever by default: a checkpoint may be all that there is
    /// of a week's training, and nobody is asked before it goes. Weights that an unfinished job begins with stay in any case.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Jobs { get; set; } = TimeSpan.Zero;

    /// <summary>Who did what, after it was done. Two years by default: who asks what happened last year finds it.</summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Audit { get; set; } = TimeSpan.FromDays(730);

    /// <summary>
    /// How long jobs ran that are alike, after the last of them succeeded: what waiting jobs' expected starts are reckoned from. A year by
    /// default, since who trains once a year is told then; a row for each kind of job is small.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", Longest)]
    public TimeSpan Runtimes { get; set; } = TimeSpan.FromDays(365);

    /// <summary>
    /// Metrics and logs lie in partitions of so many days, and go a partition at a time. A week by default: what is dropped is kept for
    /// some days more than it has to, and a quarter of a year is no more than 15 partitions, of which a job's rows lie in one or two. Those
    /// that are there keep their length.
    /// </summary>
    [Range(1, 31)]
    public int PartitionDays { get; set; } = 7;

    /// <summary>
    /// How often the janitor comes round: what may go stays that much longer. A round that finds nothing costs some ten queries, of which
    /// the longest looks at every chunk's key.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromMinutes(5);
}
