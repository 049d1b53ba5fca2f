using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;

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

    /// <summary>Newest first.</summary>
    /// <inheritdoc cref="JobQueries.ListAsync"/>
    public Task<Page<Run>> ListAsync(Visibility seen, int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => JobQueries.PageAsync(
                JobQueries.SeenBy(context.Jobs, seen), pageSize, pageToken, rows => DescribeAsync(context, rows, token), token),
            cancellationToken);

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
    };
}
