using Cluster.Contracts;
using Cluster.Contracts.V1;
using Microsoft.EntityFrameworkCore;

namespace Cluster.Scheduler.Persistence;

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
    public Task<Page<Run>> ListAsync(int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => JobQueries.PageAsync(context.Jobs, pageSize, pageToken, rows => DescribeAsync(context, rows, token), token),
            cancellationToken);

    private static async Task<List<Run>> DescribeAsync(
        ClusterDbContext context, IReadOnlyList<JobRow> jobs, CancellationToken cancellationToken)
    {
        var ids = jobs.Select(j => j.Id).ToArray();
        var grants = await JobQueries.CurrentGrantsAsync(context, ids, cancellationToken);
        var runs = await context.Runs.Where(r => ids.Contains(r.JobId)).ToDictionaryAsync(r => r.JobId, cancellationToken);
        return [.. jobs.Select(j => JobMapping.ToRun(j, grants[j.Id], runs.GetValueOrDefault(j.Id)))];
    }
}
