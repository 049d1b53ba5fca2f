using Cluster.Contracts;
using Cluster.Contracts.V1;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Persistence;

/// <summary>Whole checkpoints, trained here or imported, as people see them.</summary>
public sealed class CheckpointQueries(ClusterDatabase database)
{
    /// <summary>Newest first.</summary>
    /// <param name="job">Null for those of all jobs and the imported ones.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Ends the query.</param>
    public Task<IReadOnlyList<Checkpoint>> ListAsync(JobId? job, int limit, CancellationToken cancellationToken) => ReadAsync(
        context => job is { } id
            ? Weights(context).Where(c => c.JobId == id.Value).OrderByDescending(c => c.Step).ThenByDescending(c => c.CreatedAt).Take(limit)
            : Weights(context).OrderByDescending(c => c.CreatedAt).ThenByDescending(c => c.Id).Take(limit),
        cancellationToken);

    /// <summary>The checkpoints that a prefix may mean: no more than two, which tell that it is ambiguous.</summary>
    public Task<IReadOnlyList<Checkpoint>> FindAsync(IdPrefix prefix, CancellationToken cancellationToken)
    {
        var (low, high) = IdRange.Of(prefix);
        return ReadAsync(context => Weights(context).Where(c => c.Id >= low && c.Id <= high).OrderBy(c => c.Id).Take(2), cancellationToken);
    }

    /// <summary>The job's newest checkpoint, or its best on validation.</summary>
    /// <returns>Null where there is none, or none that was validated.</returns>
    public async Task<Checkpoint?> ChooseAsync(JobId job, CheckpointChoice which, CancellationToken cancellationToken)
    {
        var chosen = await ReadAsync(
            context => which == CheckpointChoice.Best
                ? Weights(context).Where(c => c.JobId == job.Value && c.ValidationAccuracy != null).OrderByDescending(c => c.ValidationAccuracy).ThenBy(c => c.Step).Take(1)
                : Weights(context).Where(c => c.JobId == job.Value).OrderByDescending(c => c.Step).ThenByDescending(c => c.CreatedAt).Take(1),
            cancellationToken);
        return chosen.Count > 0 ? chosen[0] : null;
    }

    /// <exception cref="CheckpointNotFoundException">There is no such checkpoint, or none any more.</exception>
    public Task<CheckpointManifest> GetManifestAsync(Guid checkpoint, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select manifest from checkpoints where id = $1", connection) { Parameters = { new() { Value = checkpoint } } };
            return await command.ExecuteScalarAsync(token) is byte[] manifest
                ? CheckpointManifest.Parser.ParseFrom(manifest)
                : throw new CheckpointNotFoundException($"there is no checkpoint {checkpoint}");
        }, cancellationToken);

    private static IQueryable<CheckpointRow> Weights(ClusterDbContext context) => context.Checkpoints.Where(c => c.Kind == ArtifactKind.Weights);

    private Task<IReadOnlyList<Checkpoint>> ReadAsync(Func<ClusterDbContext, IQueryable<CheckpointRow>> query, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<Checkpoint>>(async (context, token) =>
        {
            var rows = await query(context).ToListAsync(token);
            var jobIds = rows.Select(c => c.JobId).Distinct().ToArray();
            var jobs = await context.Jobs.Where(j => jobIds.Contains(j.Id)).ToDictionaryAsync(j => j.Id, token);
            return [.. rows.Select(c => JobMapping.ToCheckpoint(c, c.JobId is { } job ? jobs[job] : null))];
        }, cancellationToken);
}
