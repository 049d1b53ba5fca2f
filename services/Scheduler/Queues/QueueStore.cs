using System.Data;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Placement.Queues;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Queues;

/// <summary>Declares queues. Each change is checked against all others in its transaction.</summary>
internal sealed class QueueStore(ClusterDatabase database)
{
    /// <summary>Where a job is to be in a queue that is not there.</summary>
    public const string JobInQueue = "job_queue_in_queue";

    /// <summary>Where a search is to make its jobs in a queue that is not there.</summary>
    public const string SearchInQueue = "search_in_queue";

    /// <returns>What is wrong with the queue beside the others; empty: it is declared.</returns>
    public Task<QueueRefusal?> CreateAsync(Queue queue, CancellationToken cancellationToken) =>
        ChangeAsync(queue.Name, (context, known) =>
        {
            if (known is not null)
                return QueueRefusal.Exists;
            context.Queues.Add(QueueRow.Of(queue));
            return null;
        }, cancellationToken);

    /// <inheritdoc cref="CreateAsync"/>
    public Task<QueueRefusal?> UpdateAsync(Queue queue, CancellationToken cancellationToken) =>
        ChangeAsync(queue.Name, (_, known) =>
        {
            if (known is null)
                return QueueRefusal.NotFound;
            var row = QueueRow.Of(queue);
            (known.Parent, known.Weight, known.Quotas) = (row.Parent, row.Weight, row.Quotas);
            return null;
        }, cancellationToken);

    public Task<QueueRefusal?> DeleteAsync(string name, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("delete from queues where name = $1", connection)
            {
                Parameters = { new() { Value = name } },
            };
            try
            {
                return await command.ExecuteNonQueryAsync(token) == 0 ? QueueRefusal.NotFound : null;
            }
            catch (PostgresException refusal) when (refusal.SqlState == PostgresErrorCodes.ForeignKeyViolation)
            {
                return refusal.ConstraintName switch
                {
                    JobInQueue => QueueRefusal.HasJobs,
                    SearchInQueue => QueueRefusal.HasSearches,
                    _ => QueueRefusal.HasQueues,
                };
            }
        }, cancellationToken);

    /// <summary>Writes what queues have used: placement's own, of which it need not be told.</summary>
    public Task<int> WriteUseAsync(IReadOnlyCollection<ClusterChange.QueueUsed> uses, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                update queues q set past_as_of = u.as_of, past_cpu = u.cpu, past_cuda = u.cuda, rate_cpu = u.rate_cpu,
                    rate_cuda = u.rate_cuda
                from unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[], $6::float8[])
                    u (name, as_of, cpu, cuda, rate_cpu, rate_cuda)
                where q.name = u.name
                """, connection)
            {
                Parameters =
                {
                    new() { Value = uses.Select(u => u.Queue.Name).ToArray() }, new() { Value = uses.Select(u => u.Use.AsOf).ToArray() },
                    new() { Value = uses.Select(u => u.Use.Mean.Cpu).ToArray() },
                    new() { Value = uses.Select(u => u.Use.Mean.Cuda).ToArray() },
                    new() { Value = uses.Select(u => u.Use.Rate.Cpu).ToArray() },
                    new() { Value = uses.Select(u => u.Use.Rate.Cuda).ToArray() },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    private Task<QueueRefusal?> ChangeAsync(
        string name, Func<ClusterDbContext, QueueRow?, QueueRefusal?> change, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            await using var transaction = await context.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, token);
            // Two changes that are right each by itself may be wrong together.
            await context.Database.ExecuteSqlAsync($"lock table queues in share row exclusive mode", token);
            var all = await context.Queues.AsTracking().ToListAsync(token);
            if (change(context, all.Find(queue => queue.Name == name)) is { } refusal)
                return refusal;
            var specs = context.Queues.Local.Select(row => row.ToSpec()).ToList();
            if (QueueSpec.Check(specs).FirstOrDefault() is { } fault)
                return new QueueRefusal(QueueRefusalKind.Wrong, fault);
            await context.SaveChangesAsync(token);
            await transaction.CommitAsync(token);
            return null;
        }, cancellationToken);
}

/// <summary>Why a queue stays as it is.</summary>
/// <param name="Fault">Setting, value and remedy, where the queue is wrong.</param>
internal sealed record QueueRefusal(QueueRefusalKind Kind, string Fault = "")
{
    public static QueueRefusal Exists { get; } = new(QueueRefusalKind.Exists);

    public static QueueRefusal NotFound { get; } = new(QueueRefusalKind.NotFound);

    public static QueueRefusal HasJobs { get; } = new(QueueRefusalKind.HasJobs);

    public static QueueRefusal HasQueues { get; } = new(QueueRefusalKind.HasQueues);

    public static QueueRefusal HasSearches { get; } = new(QueueRefusalKind.HasSearches);
}

internal enum QueueRefusalKind
{
    Wrong = 0,
    Exists = 1,
    NotFound = 2,

    /// <summary>Jobs wait or run in it.</summary>
    HasJobs = 3,

    /// <summary>Others lie in it.</summary>
    HasQueues = 4,

    /// <summary>Searches that go on make their jobs in it.</summary>
    HasSearches = 5,
}
