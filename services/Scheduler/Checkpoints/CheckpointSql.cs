using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>The statements of a checkpoint's commit, each within the caller's transaction.</summary>
internal static class CheckpointSql
{
    public static async Task<Guid?> FindAsync(
        NpgsqlConnection connection, AttemptCredential credential, long step, CancellationToken cancellationToken)
    {
        await using var command =
            new NpgsqlCommand("select id from checkpoints where job_id = $1 and attempt = $2 and step = $3", connection)
            {
                Parameters = { new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = step } },
            };
        return (Guid?)await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>
    /// Keeps retention and deletion off a checkpoint until the jobs that begin with it are stored, which keep it off from then on.
    /// </summary>
    /// <exception cref="InitialCheckpointException">The checkpoint is gone.</exception>
    public static async Task HoldAsync(NpgsqlConnection connection, Guid checkpoint, CancellationToken cancellationToken)
    {
        if (await LockAsync(connection, checkpoint, cancellationToken) is null)
            throw new InitialCheckpointException($"initFrom.checkpoint is {checkpoint}, which has just been dropped; name another");
    }

    /// <summary>Until the transaction's end nobody else adds to the checkpoints of the same holder, or takes of them.</summary>
    /// <returns>Who holds its chunks: its job, or itself if it was imported; null if there is no such checkpoint.</returns>
    public static async Task<Guid?> LockAsync(NpgsqlConnection connection, Guid checkpoint, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select coalesce(job_id, id) from checkpoints where id = $1", connection)
        {
            Parameters = { new() { Value = checkpoint } },
        };
        if (await command.ExecuteScalarAsync(cancellationToken) is not Guid holder)
            return null;
        await AdvisoryLocks.LockCheckpointsAsync(connection, holder, cancellationToken);
        // Again, since it may have gone while the lock was waited for.
        return (Guid?)await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>Deletes a holder's chunks that no checkpoint names: for a holder to whom none are on their way.</summary>
    public static NpgsqlBatchCommand DeleteOrphans(Guid holder) => new(
        """
        delete from checkpoint_chunks c where c.holder = $1
            and not exists (select 1 from checkpoint_chunk_refs r where r.holder = c.holder and r.sha256 = c.sha256)
        """)
    {
        Parameters = { new() { Value = holder } },
    };

    /// <summary>A rank that calls again posts the same part again.</summary>
    public static async Task PutPartAsync(
        NpgsqlConnection connection, AttemptCredential credential, CheckpointManifest part, int parts, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into checkpoint_parts values ($1, $2, $3, $4, $5, $6)
            on conflict (job_id, attempt, step, rank) do update set parts = excluded.parts, manifest = excluded.manifest
            """, connection)
        {
            Parameters =
            {
                new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = part.Step },
                new() { Value = credential.Rank }, new() { Value = parts }, new() { Value = part.ToByteArray() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>How many parts are in: all but the last are told by this, without a look at the others' manifests.</summary>
    public static async Task<long> CountPartsAsync(
        NpgsqlConnection connection, AttemptCredential credential, long step, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "select count(*) from checkpoint_parts where job_id = $1 and attempt = $2 and step = $3", connection)
        {
            Parameters = { new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = step } },
        };
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>In rank order.</summary>
    public static async Task<List<CheckpointManifest>> ReadPartsAsync(
        NpgsqlConnection connection, AttemptCredential credential, long step, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "select manifest from checkpoint_parts where job_id = $1 and attempt = $2 and step = $3 order by rank", connection)
        {
            Parameters = { new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = step } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var parts = new List<CheckpointManifest>();
        while (await reader.ReadAsync(cancellationToken))
            parts.Add(CheckpointManifest.Parser.ParseFrom(reader.GetFieldValue<byte[]>(0)));
        return parts;
    }

    /// <exception cref="ChunkMissingException">One is not stored, or has another size.</exception>
    public static async Task RequireChunksAsync(
        NpgsqlConnection connection, Guid holder, CheckpointManifest manifest, CancellationToken cancellationToken)
    {
        var (hashes, sizes) = Chunks(manifest);
        await using var command = new NpgsqlCommand(
            """
            select n.sha256 from unnest($2::bytea[], $3::integer[]) n (sha256, bytes)
            where not exists (select 1 from checkpoint_chunks c where c.holder = $1 and c.sha256 = n.sha256 and c.bytes = n.bytes)
            limit 1
            """, connection)
        {
            Parameters = { new() { Value = holder }, new() { Value = hashes }, new() { Value = sizes } },
        };
        if (await command.ExecuteScalarAsync(cancellationToken) is byte[] missing)
        {
            throw new ChunkMissingException(
                $"chunk {Convert.ToHexStringLower(missing)} of the checkpoint at step {manifest.Step} is not stored in the size "
                    + "that the manifest names");
        }
    }

    public static async Task InsertAsync(
        NpgsqlConnection connection, AttemptCredential credential, Guid id, CheckpointManifest manifest, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        var (hashes, _) = Chunks(manifest);
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new("""
                    insert into checkpoints
                    select $1, j.id, j.owner, $3, $4, $5, $6, $7, $8, $9, $10 from jobs j where j.id = $2
                    """)
                {
                    Parameters =
                    {
                        new() { Value = id }, new() { Value = credential.Job.Value }, new() { Value = credential.Attempt },
                        new() { Value = manifest.Step }, new() { Value = manifest.Epoch },
                        new() { Value = manifest.Files.Sum(f => f.Bytes) }, new()
                        {
                            // To Postgres a NaN is more than any number: it would be the best checkpoint.
                            Value = manifest.HasValidationAccuracy && double.IsFinite(manifest.ValidationAccuracy)
                                ? manifest.ValidationAccuracy
                                : DBNull.Value,
                            NpgsqlDbType = NpgsqlDbType.Double,
                        },
                        new() { Value = manifest.ToByteArray() }, new() { Value = now }, new() { Value = manifest.Kind.ToString() },
                    },
                },
                new("insert into checkpoint_chunk_refs select $1, $2, h from (select distinct unnest($3::bytea[]) as h) hashes")
                {
                    Parameters = { new() { Value = id }, new() { Value = credential.Job.Value }, new() { Value = hashes } },
                },
                new("delete from checkpoint_parts where job_id = $1 and attempt = $2 and step <= $3")
                {
                    Parameters =
                    {
                        new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = manifest.Step },
                    },
                },
            },
        };
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    internal static (byte[][] Hashes, int[] Sizes) Chunks(CheckpointManifest manifest)
    {
        var chunks = manifest.Files.SelectMany(f => f.Chunks).ToList();
        return ([.. chunks.Select(c => c.Sha256.ToByteArray())], [.. chunks.Select(c => c.Bytes)]);
    }
}
