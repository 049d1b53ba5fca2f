using System.Data;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Runs;

/// <summary>Runs, as people see them.</summary>
public sealed class RunQueries([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    /// <returns>Null when there is no such job.</returns>
    public Task<Run?> GetAsync(JobId id, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
            await context.Jobs.SingleOrDefaultAsync(j => j.Id == id.Value, token) is { } job
                ? (await DescribeAsync(context, [job], token))[0]
                : null,
            cancellationToken);

    /// <exception cref="FormatException">The search is none; the message says where.</exception>
    public Task<Page<Run>> ListAsync(RunSearch search, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            // All of a page as of one moment: a run that is found is there.
            await using var transaction = await context.Database.BeginTransactionAsync(IsolationLevel.RepeatableRead, token);
            var connection = (NpgsqlConnection)context.Database.GetDbConnection();
            // At once, one more than the page has: to find the first may take a look at all runs there are.
            var found = await search.FindAsync(connection, token);
            var page = await Page.FillAsync(
                search.PageSize, search.PageToken, (_, count) => Task.FromResult(Take(found, count)),
                rows => DescribeAsync(context, rows, token), last => last.PageToken);
            await transaction.CommitAsync(token);
            return page;
        }, cancellationToken);

    private static List<FoundRun> Take(Queue<FoundRun> found, int count)
    {
        var taken = new List<FoundRun>(count);
        while (taken.Count < count && found.TryDequeue(out var run))
            taken.Add(run);
        return taken;
    }

    private static async Task<List<Run>> DescribeAsync(
        ClusterDbContext context, IReadOnlyList<FoundRun> found, CancellationToken cancellationToken)
    {
        var ids = found.Select(run => run.Id).ToArray();
        var jobs = await context.Jobs.Where(j => ids.Contains(j.Id)).ToDictionaryAsync(j => j.Id, cancellationToken);
        return await DescribeAsync(context, [.. ids.Select(id => jobs[id])], cancellationToken);
    }

    private static async Task<List<Run>> DescribeAsync(
        ClusterDbContext context, IReadOnlyList<JobRow> jobs, CancellationToken cancellationToken)
    {
        var ids = jobs.Select(j => j.Id).ToArray();
        var grants = await JobQueries.CurrentGrantsAsync(context, ids, cancellationToken);
        var runs = await context.Runs.Where(r => ids.Contains(r.JobId)).ToDictionaryAsync(r => r.JobId, cancellationToken);
        return [.. jobs.Select(j => ToRun(j, grants[j.Id], runs.GetValueOrDefault(j.Id)))];
    }

    private static Run ToRun(JobRow row, IEnumerable<DeviceGrantRow> grants, RunRow? run) => new()
    {
        JobId = row.Id.ToString("D"),
        Name = row.Name,
        Owner = row.Owner,
        State = row.State,
        Model = row.Spec.Model,
        Data = row.Spec.Data,
        Hyperparameters = row.Spec.Hyperparameters,
        Parallelism = row.Spec.Parallelism,
        Seed = row.Spec.Seed,
        Attempts = row.Attempt,
        StartedAt = row.StartedAt?.ToTimestamp(),
        FinishedAt = row.FinishedAt?.ToTimestamp(),
        Progress = run?.Progress,
        Environment = run?.Environment,
        Placement = { grants.Select(JobMapping.ToPlacement) },
        ExperimentId = row.ExperimentId?.ToString("D") ?? "",
        Variant = row.Variant,
        Labels = { row.Spec.Labels },
        Queue = row.Queue,
        CreatedAt = row.CreatedAt.ToTimestamp(),
    };
}
