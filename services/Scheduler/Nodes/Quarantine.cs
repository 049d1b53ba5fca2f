using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Nodes;

/// <summary>Keeps nodes from new jobs on which different jobs fail again and again, until a person resumes them.</summary>
/// <remarks>
/// It is a drain in which what runs may go on. A group that fails everywhere counts once, and no more than a quarter of the nodes are kept
/// back so: what fails on more of them is hardly theirs.
/// </remarks>
internal sealed partial class Quarantine(
    ClusterDatabase database, ReconcileSignal signal, IOptions<NodeOptions> options, TimeProvider time, ILogger<Quarantine> logger)
{
    /// <param name="cause">The experiment of the job that failed there, or the job.</param>
    /// <param name="reason">How it failed.</param>
    public async Task NoteAsync(Guid node, Guid cause, string reason, CancellationToken cancellationToken)
    {
        var (after, window, now) = (options.Value.QuarantineAfter, options.Value.QuarantineWindow, time.GetUtcNow());
        if (after == 0)
            return;
        var drain = new Drain
        {
            By = "the scheduler",
            Reason = after == 1 ? $"a job failed there (Nodes:QuarantineAfter), as {reason}"
                : $"{after} different jobs failed there within {window:c} (Nodes:QuarantineAfter), the last as {reason}",
            KeepRunning = true,
            Since = now.ToTimestamp(),
            Quarantined = true,
        };
        var name = await database.TransactAsync(async (connection, token) =>
        {
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    new("delete from node_faults where at < $1") { Parameters = { new() { Value = now - window } } },
                    new("""
                        insert into node_faults select id, $2, $3 from nodes where id = $1
                        on conflict (node_id, cause) do update set at = excluded.at
                        """)
                    {
                        Parameters = { new() { Value = node }, new() { Value = cause }, new() { Value = now } },
                    },
                    new("""
                        update nodes n set drain = $3::jsonb
                        where id = $1 and drain is null and (select count(*) from node_faults where node_id = $1) >= $2
                            and (select count(*) from nodes where (drain->>'quarantined')::boolean)
                                < greatest(1, (select count(*) from nodes where state = 'Ready') / 4)
                            and exists (select from nodes where id <> $1 and state = 'Ready' and drain is null)
                        returning name
                        """)
                    {
                        Parameters = { new() { Value = node }, new() { Value = after }, new() { Value = JsonColumn.Write(drain) } },
                    },
                },
            };
            await using var reader = await batch.ExecuteReaderAsync(token);
            return await reader.ReadAsync(token) ? reader.GetString(0) : null;
        }, cancellationToken);
        if (name is null)
            return;
        LogQuarantined(name, drain.Reason);
        signal.Place();
    }

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Node {Name} is quarantined: {Reason}; ./cluster node resume gives it new jobs again")]
    private partial void LogQuarantined(string name, string reason);
}
