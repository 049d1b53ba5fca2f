using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Npgsql;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>Checkpoints: nobody sees one before all of its parts, and all chunks that they name, are stored.</summary>
public sealed class CheckpointStore(ClusterDatabase database, CheckpointRetention retention, JobFeed feed, TimeProvider time)
{
    /// <summary>
    /// Posts a rank's part, and waits until the parts of all ranks that have one are in; whoever completes the set makes the
    /// checkpoint visible. Idempotent under (attempt, step), also after the checkpoint is whole.
    /// </summary>
    /// <param name="part">This rank's files and tensors; the rest of the manifest is the same from every rank.</param>
    /// <param name="parts">How many ranks store a part; 0 and 1: this part is the whole.</param>
    /// <returns>The checkpoint's id, the same for every rank.</returns>
    /// <exception cref="AttemptFencedException">The attempt is over, perhaps while waiting.</exception>
    /// <exception cref="ChunkMissingException">A chunk that the manifest names is not stored.</exception>
    /// <exception cref="ManifestConflictException">The parts do not fit together.</exception>
    public async Task<Guid> CommitAsync(
        AttemptCredential credential, CheckpointManifest part, int parts, CancellationToken cancellationToken)
    {
        // Also for the attempt's end.
        using var subscription = feed.Subscribe(credential.Job, JobChange.Checkpoint | JobChange.State);
        var (id, isNew) = await database.TransactAsync(
            (connection, token) => TryCommitAsync(connection, credential, part, Math.Max(1, parts), token), cancellationToken);
        if (isNew)
        {
            if (part.Kind != ArtifactKind.Predictions)
                await NoteCommittedAsync(credential.Job, cancellationToken);
            feed.Publish(credential.Job, JobChange.Checkpoint);
            await retention.ApplyAsync(credential.Job, cancellationToken);
        }

        while (id is null)
        {
            await subscription.WaitAsync(JobFeed.Poll, cancellationToken);
            id = await database.TransactAsync(async (connection, token) =>
            {
                await AttemptFence.HoldAsync(connection, credential, token);
                return await CheckpointSql.FindAsync(connection, credential, part.Step, token);
            }, cancellationToken);
        }

        return id.Value;
    }

    /// <summary>The manifest of one of the job's checkpoints, or of the one that it begins with.</summary>
    /// <exception cref="CheckpointNotFoundException">There is none by that id, or it is another job's affair.</exception>
    public Task<CheckpointManifest> GetManifestAsync(JobId job, Guid checkpoint, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select manifest from checkpoints c where c.id = $1
                    and (c.job_id = $2 or exists (select 1 from jobs j where j.id = $2 and j.initial_checkpoint = c.id))
                """, connection)
            {
                Parameters = { new() { Value = checkpoint }, new() { Value = job.Value } },
            };
            return await command.ExecuteScalarAsync(token) is byte[] manifest
                ? CheckpointManifest.Parser.ParseFrom(manifest)
                : throw new CheckpointNotFoundException($"job {job} has no checkpoint {checkpoint}");
        }, cancellationToken);

    /// <summary>
    /// Tells placement that so far the job loses nothing if it is stopped. Not in the checkpoint's transaction, which holds the attempt:
    /// the job's grain writes both the other way round. Where it is left out more seems to be lost than would be.
    /// </summary>
    private Task<int> NoteCommittedAsync(JobId job, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("update job_queue set committed_at = $2 where job_id = $1", connection)
            {
                Parameters = { new() { Value = job.Value }, new() { Value = time.GetUtcNow() } },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    private async Task<(Guid? Id, bool IsNew)> TryCommitAsync(
        NpgsqlConnection connection, AttemptCredential credential, CheckpointManifest part, int parts, CancellationToken cancellationToken)
    {
        await AttemptFence.HoldAsync(connection, credential, cancellationToken);
        await AdvisoryLocks.LockCheckpointsAsync(connection, credential.Job, cancellationToken);
        if (await CheckpointSql.FindAsync(connection, credential, part.Step, cancellationToken) is { } existing)
            return (existing, false);
        await CheckpointSql.PutPartAsync(connection, credential, part, parts, cancellationToken);
        if (await CheckpointSql.CountPartsAsync(connection, credential, part.Step, cancellationToken) < parts)
            return (null, false);
        var received = await CheckpointSql.ReadPartsAsync(connection, credential, part.Step, cancellationToken);
        var manifest = ManifestMerge.Merge(received);
        await CheckpointSql.RequireChunksAsync(connection, credential.Job.Value, manifest, cancellationToken);
        var id = Guid.CreateVersion7(time.GetUtcNow());
        await CheckpointSql.InsertAsync(connection, credential, id, manifest, time.GetUtcNow(), cancellationToken);
        return (id, true);
    }
}
