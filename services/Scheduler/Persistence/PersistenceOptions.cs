using System.ComponentModel.DataAnnotations;
using Npgsql;

namespace Cluster.Scheduler.Persistence;

/// <summary>Where the scheduler keeps everything, and how long it tries.</summary>
public sealed class PersistenceOptions : IValidatableObject
{
    public const string SectionName = "Persistence";

    private const int MembershipConnections = 2;

    /// <summary>
    /// Npgsql's form: "Host=/run/postgresql;Username=cluster;Database=cluster". There is no default: nothing runs without it.
    /// </summary>
    [Required]
    public string ConnectionString { get; set; } = "";

    /// <summary>
    /// Connections at most, of one scheduler, for leases, grants and the states of jobs. Together with the other pools', Orleans'
    /// two and one for changes three schedulers stay within the 100 that Postgres allows by default; more than a few a core
    /// of its machine only wait for each other there.
    /// </summary>
    [Range(2, 1000)]
    public int ControlConnections { get; set; } = 12;

    /// <summary>Connections at most for what people look at: lists, curves, logs.</summary>
    [Range(1, 1000)]
    public int QueryConnections { get; set; } = 8;

    /// <summary>
    /// Connections at most for checkpoints, metrics and logs. Each holds a batch of 8 MiB at most while it is stored. Two at least: the
    /// janitor holds one by which no other scheduler's works, and works on others.
    /// </summary>
    [Range(2, 1000)]
    public int BulkConnections { get; set; } = 8;

    /// <summary>
    /// Tries after the first, for faults that pass (a restarted server, a deadlock). Three cover a server's fast restart.
    /// </summary>
    [Range(0, 10)]
    public int Retries { get; set; } = 3;

    /// <summary>Pause before the first repetition; it doubles, with jitter.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:10")]
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>
    /// How the names of all sessions of this process begin in pg_stat_activity, so that other schedulers can end them. A process that
    /// starts anew in its place has others.
    /// </summary>
    internal string Sessions { get; } = $"scheduler {Guid.NewGuid().ToString("N")[..8]} ";

    /// <summary>Whose they are, for people who read their names.</summary>
    internal string Owner { get; set; } = "";

    /// <summary>For how schedulers find each other: a handful of small statements now and then.</summary>
    internal string MembershipConnectionString => WithPool(MembershipConnections, "membership");

    /// <summary>
    /// For the one connection on which a scheduler hears of the others' changes. It may say nothing for hours, so that it is asked now and
    /// then whether it still lives.
    /// </summary>
    internal string ListeningConnectionString => new NpgsqlConnectionStringBuilder(WithPool(1, "changes"))
    {
        Pooling = false,
        KeepAlive = 10,
    }.ConnectionString;

    internal string ConnectionStringOf(StorePool pool) => pool switch
    {
        StorePool.Control => WithPool(ControlConnections, "control"),
        StorePool.Queries => WithPool(QueryConnections, "queries"),
        _ => WithPool(BulkConnections, "bulk"),
    };

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (new NpgsqlConnectionStringBuilder(ConnectionString).ShouldSerialize("Maximum Pool Size"))
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(ConnectionString)} sets Maximum Pool Size, but there are several pools; take it out and set "
                + $"{nameof(ControlConnections)}, {nameof(QueryConnections)} and {nameof(BulkConnections)}");
        }
    }

    private string WithPool(int connections, string use)
    {
        var settings = new NpgsqlConnectionStringBuilder(ConnectionString) { MaxPoolSize = connections };
        settings.MinPoolSize = Math.Min(settings.MinPoolSize, connections);
        // Nothing here leaves anything behind in a session. Statements are prepared by those who say so: Npgsql's automatic preparation
        // loses count of the server's answers when a statement fails at the moment that it prepares it.
        settings.NoResetOnClose = true;
        // Postgres keeps 63 characters.
        settings.ApplicationName = $"{Sessions}{use} {Owner}";
        return settings.ConnectionString;
    }
}
