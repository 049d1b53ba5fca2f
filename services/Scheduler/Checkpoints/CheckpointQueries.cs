using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>Whole checkpoints, trained here or imported, as people see them.</summary>
public sealed class CheckpointQueries([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    /// <summary>Newest first.</summary>
    /// <param name="job">Null for those of all jobs and the imported ones.</param>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<Checkpoint>> ListAsync(
        JobId? job, Visibility seen, int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => Page.FillAsync(
                pageSize, pageToken,
                (after, count) => SeenBy(context, job is { } id ? OfJob(context, id, after) : OfAll(context, after), seen)
                    .Take(count).ToListAsync(token),
                rows => DescribeAsync(context, rows, token),
                last => job is null ? PageToken.Write(last.CreatedAt, last.Id) : PageToken.Write(last.Step, last.CreatedAt, last.Id)),
            cancellationToken);

    /// <summary>The checkpoints that a prefix may mean: no more than two, which tell that it is ambiguous.</summary>
    public Task<IReadOnlyList<Checkpoint>> FindAsync(IdPrefix prefix, CancellationToken cancellationToken) =>
        FindAsync(prefix, Visibility.All, cancellationToken);

    /// <inheritdoc cref="FindAsync(IdPrefix, CancellationToken)"/>
    public Task<IReadOnlyList<Checkpoint>> FindAsync(IdPrefix prefix, Visibility seen, CancellationToken cancellationToken)
    {
        var (low, high) = IdRange.Of(prefix);
        return ReadAsync(
            context => SeenBy(context, Weights(context).Where(c => c.Id >= low && c.Id <= high), seen).OrderBy(c => c.Id).Take(2),
            cancellationToken);
    }

    /// <summary>The job's newest checkpoint, or its best on validation.</summary>
    /// <returns>Null where there is none, or none that was validated.</returns>
    public async Task<Checkpoint?> ChooseAsync(JobId job, CheckpointChoice which, CancellationToken cancellationToken)
    {
        var chosen = await ReadAsync(
            context => which == CheckpointChoice.Best
                ? Weights(context).Where(c => c.JobId == job.Value && c.ValidationAccuracy != null)
                    .OrderByDescending(c => c.ValidationAccuracy).ThenBy(c => c.Step).Take(1)
                : Weights(context).Where(c => c.JobId == job.Value).OrderByDescending(c => c.Step).ThenByDescending(c => c.CreatedAt)
                    .Take(1),
            cancellationToken);
        return chosen.Count > 0 ? chosen[0] : null;
    }

    /// <exception cref="CheckpointNotFoundException">There is no such checkpoint, or none any more.</exception>
    public Task<CheckpointManifest> GetManifestAsync(Guid checkpoint, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select manifest from checkpoints where id = $1", connection)
            {
                Parameters = { new() { Value = checkpoint } },
            };
            return await command.ExecuteScalarAsync(token) is byte[] manifest
                ? CheckpointManifest.Parser.ParseFrom(manifest)
                : throw new CheckpointNotFoundException($"there is no checkpoint {checkpoint}");
        }, cancellationToken);

    /// <summary>Imported weights lie in no workspace.</summary>
    private static IQueryable<CheckpointRow> SeenBy(
        ClusterDbContext context, IQueryable<CheckpointRow> checkpoints, Visibility seen)
    {
        if (seen.Hidden.Length > 0)
        {
            var hidden = JobsIn(seen.Hidden);
            checkpoints = checkpoints.Where(c => c.Owner == seen.Owner || c.JobId == null || !hidden.Contains(c.JobId.Value));
        }

        if (seen.Only is { } only)
        {
            var inside = JobsIn(only);
            checkpoints = checkpoints.Where(c => c.JobId != null && inside.Contains(c.JobId.Value));
        }

        return checkpoints;

        IQueryable<Guid> JobsIn(string[] workspaces) =>
            context.Database.SqlQuery<Guid>($"select id as \"Value\" from jobs where workspace = any({workspaces})");
    }

    private static IQueryable<CheckpointRow> Weights(ClusterDbContext context) =>
        context.Checkpoints.Where(c => c.Kind == ArtifactKind.Weights);

    private static IQueryable<CheckpointRow> OfJob(ClusterDbContext context, JobId job, string after)
    {
        var checkpoints = Weights(context).Where(c => c.JobId == job.Value);
        if (after.Length > 0)
        {
            var (step, before, id) = PageToken.ReadStep(after);
            checkpoints = checkpoints.Where(
                c => EF.Functions.LessThan(ValueTuple.Create(c.Step, c.CreatedAt, c.Id), ValueTuple.Create(step, before, id)));
        }

        return checkpoints.OrderByDescending(c => c.Step).ThenByDescending(c => c.CreatedAt).ThenByDescending(c => c.Id);
    }

    private static IQueryable<CheckpointRow> OfAll(ClusterDbContext context, string after)
    {
        var checkpoints = Weights(context);
        if (after.Length > 0)
        {
            var (before, id) = PageToken.Read(after);
            checkpoints = checkpoints.Where(
                c => EF.Functions.LessThan(ValueTuple.Create(c.CreatedAt, c.Id), ValueTuple.Create(before, id)));
        }

        return checkpoints.OrderByDescending(c => c.CreatedAt).ThenByDescending(c => c.Id);
    }

    private Task<IReadOnlyList<Checkpoint>> ReadAsync(
        Func<ClusterDbContext, IQueryable<CheckpointRow>> query, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<Checkpoint>>(
            async (context, token) => await DescribeAsync(context, await query(context).ToListAsync(token), token), cancellationToken);

    private static async Task<List<Checkpoint>> DescribeAsync(
        ClusterDbContext context, List<CheckpointRow> checkpoints, CancellationToken cancellationToken)
    {
        var ids = checkpoints.Select(c => c.JobId).OfType<Guid>().Distinct().ToArray();
        var jobs = await context.Database
            .SqlQuery<SourceJob>($"select id as \"Id\", name as \"Name\", spec as \"Spec\" from jobs where id = any({ids})")
            .ToDictionaryAsync(job => job.Id, cancellationToken);
        return checkpoints.ConvertAll(c => ToCheckpoint(c, c.JobId is { } job ? jobs[job] : null));
    }

    /// <param name="job">Null for imported weights.</param>
    private static Checkpoint ToCheckpoint(CheckpointRow row, SourceJob? job)
    {
        var checkpoint = new Checkpoint
        {
            Id = row.Id.ToString("D"),
            JobId = row.JobId?.ToString("D") ?? "",
            Attempt = row.Attempt,
            Step = row.Step,
            Epoch = row.Epoch,
            CreatedAt = row.CreatedAt.ToTimestamp(),
            Bytes = row.Bytes,
            Owner = row.Owner,
            Model = job is null ? row.ImportedModel : SpecColumn.Read(job.Spec).Model,
            Source = job?.Name ?? row.ImportedFile,
        };
        if (row.ValidationAccuracy is { } accuracy)
            checkpoint.ValidationAccuracy = accuracy;
        return checkpoint;
    }

    /// <summary>What of a job is told with its checkpoints.</summary>
    private sealed record SourceJob(Guid Id, string Name, byte[] Spec);
}
