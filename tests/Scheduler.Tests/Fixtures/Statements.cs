using System.Collections.Concurrent;
using System.Diagnostics;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>The statements that a scheduler's pools have run on its database since this was made.</summary>
internal sealed class Statements : IDisposable
{
    private readonly ConcurrentQueue<(string Pool, string Text)> _ended = new();
    private readonly ActivityListener _listener;

    public Statements(string connectionString)
    {
        var database = new NpgsqlConnectionStringBuilder(connectionString).Database;
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Npgsql",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = statement =>
            {
                // Tests run beside this one, each on a database of its own.
                if (Equals(statement.GetTagItem("db.namespace"), database) && statement.GetTagItem("db.query.text") is string text)
                    _ended.Enqueue(($"{statement.GetTagItem("db.npgsql.data_source")}", text));
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public IReadOnlyList<string> All => [.. _ended.Select(each => each.Text)];

    public IReadOnlyList<string> Of(StorePool pool) => [.. _ended.Where(each => each.Pool == $"{pool}").Select(each => each.Text)];

    public void Dispose() => _listener.Dispose();
}
