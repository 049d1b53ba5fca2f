using System.Security.Cryptography;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>The bytes of checkpoints, in chunks that are stored once per job or import under their SHA-256.</summary>
public sealed class ChunkStore([FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, TimeProvider time)
{
    // A transaction each: large enough to be worth a round trip, small enough to hold in memory for every uploading rank.
    private const int BatchBytes = 8 << 20;

    /// <summary>Stores chunks as they arrive.</summary>
    /// <returns>Bytes that were not stored before.</returns>
    /// <exception cref="ChunkCorruptException">A chunk's bytes do not match its hash.</exception>
    /// <exception cref="AttemptFencedException">The attempt is over.</exception>
    public Task<long> PutAsync(
        AttemptCredential credential, IAsyncEnumerable<PutChunksRequest> chunks, CancellationToken cancellationToken) =>
        PutAsync(
            credential.Job.Value, (connection, token) => AttemptFence.HoldAsync(connection, credential, token), chunks, cancellationToken);

    /// <summary>Stores chunks as they arrive, under whom they will belong to.</summary>
    /// <param name="holder">A job, or a checkpoint that is being imported.</param>
    /// <param name="admit">Asked in the transaction of every batch; throws where nothing more is to be stored.</param>
    /// <param name="chunks">What arrives.</param>
    /// <param name="cancellationToken">Ends the upload; what is stored by then waits for the next clean-up.</param>
    /// <returns>Bytes that were not stored before.</returns>
    /// <exception cref="ChunkCorruptException">A chunk's bytes do not match its hash.</exception>
    internal async Task<long> PutAsync(
        Guid holder, Func<NpgsqlConnection, CancellationToken, Task> admit, IAsyncEnumerable<PutChunksRequest> chunks,
        CancellationToken cancellationToken)
    {
        var batch = new Dictionary<ByteString, ByteString>();
        long pending = 0, stored = 0;
        await foreach (var chunk in chunks.WithCancellation(cancellationToken))
        {
            Check(chunk);
            if (batch.TryAdd(chunk.Sha256, chunk.Data))
                pending += chunk.Data.Length;
            if (pending >= BatchBytes)
            {
                stored += await PutBatchAsync(holder, admit, batch, cancellationToken);
                batch.Clear();
                pending = 0;
            }
        }

        return stored + (batch.Count > 0 ? await PutBatchAsync(holder, admit, batch, cancellationToken) : 0);
    }

    /// <summary>One chunk of a checkpoint. Whether the caller may have it is for the caller of this to know.</summary>
    /// <remarks>On no connection of the reader's own: however slowly a checkpoint is read, it holds up nobody.</remarks>
    /// <exception cref="ChunkMissingException">The checkpoint has no such chunk.</exception>
    public Task<byte[]> GetAsync(Guid checkpoint, ByteString hash, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select c.data from checkpoint_chunk_refs r
                join checkpoint_chunks c on c.holder = r.holder and c.sha256 = r.sha256
                where r.checkpoint_id = $1 and r.sha256 = $2
                """, connection)
            {
                Parameters = { new() { Value = checkpoint }, new() { Value = hash.ToByteArray() } },
            };
            return await command.ExecuteScalarAsync(token) is byte[] data
                ? data
                : throw new ChunkMissingException($"checkpoint {checkpoint} has no chunk {Convert.ToHexStringLower(hash.Span)}");
        }, cancellationToken);

    private static void Check(PutChunksRequest chunk)
    {
        Span<byte> actual = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(chunk.Data.Span, actual);
        if (!actual.SequenceEqual(chunk.Sha256.Span))
        {
            throw new ChunkCorruptException(
                $"a chunk of {chunk.Data.Length} bytes hashes to {Convert.ToHexStringLower(actual)}, "
                    + $"not to {Convert.ToHexStringLower(chunk.Sha256.Span)}; send it again");
        }
    }

    private async Task<long> PutBatchAsync(
        Guid holder, Func<NpgsqlConnection, CancellationToken, Task> admit, Dictionary<ByteString, ByteString> batch,
        CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await database.TransactAsync(async (connection, token) =>
                {
                    await admit(connection, token);
                    var known = await RenewAsync(connection, holder, batch.Keys, token);
                    return await CopyAsync(connection, holder, batch.Where(c => !known.Contains(c.Key)), token);
                }, cancellationToken);
            }
            catch (PostgresException race) when (race.SqlState == PostgresErrorCodes.UniqueViolation)
            {
                // Another rank stored one of them since we looked. It is there now, so each turn leaves fewer to store.
            }
        }
    }

    /// <summary>Marks those that are stored already as wanted, so that no clean-up takes them before the manifest comes.</summary>
    private async Task<HashSet<ByteString>> RenewAsync(
        NpgsqlConnection connection, Guid holder, IEnumerable<ByteString> hashes, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            with wanted as (select sha256 from checkpoint_chunks where holder = $1 and sha256 = any($2) order by sha256 for update)
            update checkpoint_chunks c set put_at = $3 from wanted w where c.holder = $1 and c.sha256 = w.sha256 returning c.sha256
            """, connection)
        {
            Parameters =
            {
                new() { Value = holder }, new() { Value = hashes.Select(h => h.ToByteArray()).ToArray() },
                new() { Value = time.GetUtcNow() },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var known = new HashSet<ByteString>();
        while (await reader.ReadAsync(cancellationToken))
            known.Add(ByteString.CopyFrom(reader.GetFieldValue<byte[]>(0)));
        return known;
    }

    private async Task<long> CopyAsync(
        NpgsqlConnection connection, Guid holder, IEnumerable<KeyValuePair<ByteString, ByteString>> chunks,
        CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow().UtcDateTime;
        long bytes = 0;
        await using var copy = await connection.BeginBinaryImportAsync(
            "copy checkpoint_chunks (holder, sha256, bytes, data, put_at) from stdin (format binary)", cancellationToken);
        foreach (var (hash, data) in chunks)
        {
            await copy.StartRowAsync(cancellationToken);
            await copy.WriteAsync(holder, NpgsqlDbType.Uuid, cancellationToken);
            await copy.WriteAsync(hash.Memory, NpgsqlDbType.Bytea, cancellationToken);
            await copy.WriteAsync(data.Length, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(data.Memory, NpgsqlDbType.Bytea, cancellationToken);
            await copy.WriteAsync(now, NpgsqlDbType.TimestampTz, cancellationToken);
            bytes += data.Length;
        }

        await copy.CompleteAsync(cancellationToken);
        return bytes;
    }
}
