using System.Runtime.CompilerServices;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Npgsql;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>
/// Stores a safetensors file that a client sends as a checkpoint of its own. Nobody sees it before all of it is there and its header is
/// sound.
/// </summary>
public sealed class CheckpointImport(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, ChunkStore chunks, TimeProvider time)
{
    /// <summary>As a trainer's chunks.</summary>
    private const int MaxChunkBytes = 1 << 20;

    /// <summary>Held in memory whole, for every import under way; a network of ten thousand tensors has a header of one.</summary>
    private const int MaxHeaderBytes = 16 << 20;

    /// <returns>The checkpoint's id.</returns>
    /// <exception cref="InvalidImportException">The file is not as announced, or no sound safetensors file.</exception>
    /// <exception cref="ChunkCorruptException">A chunk's bytes do not match its hash.</exception>
    public async Task<Guid> ImportAsync(
        string owner, ImportedFile file, IAsyncEnumerable<PutChunksRequest> content, CancellationToken cancellationToken)
    {
        var id = Guid.CreateVersion7(time.GetUtcNow());
        var stored = new CheckpointFile { Name = CheckpointLayout.ModelFile };
        var beginning = new MemoryStream();
        try
        {
            await chunks.PutAsync(
                id, (_, _) => Task.CompletedTask, WatchAsync(file, content, stored, beginning, cancellationToken), cancellationToken);
            if (stored.Bytes != file.Bytes)
                throw new InvalidImportException(
                    $"{file.Name} ended after {stored.Bytes} of the {file.Bytes} bytes announced; send it again");
            await InsertAsync(id, owner, file, ManifestOf(file, stored, beginning), cancellationToken);
            return id;
        }
        catch
        {
            await DeleteChunksAsync(id);
            throw;
        }
    }

    /// <summary>Passes chunks on, noting them in <paramref name="stored"/> and the file's header in <paramref name="beginning"/>.</summary>
    private static async IAsyncEnumerable<PutChunksRequest> WatchAsync(
        ImportedFile file, IAsyncEnumerable<PutChunksRequest> content, CheckpointFile stored, MemoryStream beginning,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var missing = (long)sizeof(long);
        await foreach (var chunk in content.WithCancellation(cancellationToken))
        {
            if (chunk.Data.Length is 0 or > MaxChunkBytes || stored.Bytes + chunk.Data.Length > file.Bytes)
            {
                throw new InvalidImportException(
                    $"{file.Name}: a chunk of {chunk.Data.Length} bytes after {stored.Bytes} of {file.Bytes}; "
                        + $"send 1 to {MaxChunkBytes} bytes a chunk, and no more than announced");
            }

            stored.Bytes += chunk.Data.Length;
            stored.Chunks.Add(new ChunkRef { Sha256 = chunk.Sha256, Bytes = chunk.Data.Length });
            if (beginning.Length < missing)
            {
                beginning.Write(chunk.Data.Span);
                missing = HeaderEnd(file, beginning);
            }

            yield return chunk;
        }
    }

    /// <summary>Where the data begins, as far as can be told yet.</summary>
    private static long HeaderEnd(ImportedFile file, MemoryStream beginning)
    {
        if (beginning.Length < sizeof(long))
            return sizeof(long);
        var header = Sound(file, () => SafetensorsReader.HeaderBytes(beginning.GetBuffer().AsSpan(0, sizeof(long)), file.Bytes));
        return header <= MaxHeaderBytes
            ? sizeof(long) + header
            : throw new InvalidImportException($"{file.Name} has a header of {header} bytes; at most {MaxHeaderBytes} can be imported");
    }

    private static CheckpointManifest ManifestOf(ImportedFile file, CheckpointFile stored, MemoryStream beginning)
    {
        var dataBegin = (int)HeaderEnd(file, beginning);
        var entries = Sound(file, () => beginning.Length >= dataBegin
            ? SafetensorsReader.ParseHeader(beginning.GetBuffer().AsMemory(sizeof(long), dataBegin - sizeof(long)), file.Bytes - dataBegin)
            : throw new InvalidDataException("it ends within its header"));
        return new CheckpointManifest
        {
            WorldSize = 1,
            Parallelism = Parallelism.Data,
            Files = { stored },
            Tensors =
            {
                entries.Select(entry => new TensorShard
                {
                    Name = entry.Name, File = stored.Name, GlobalShape = { entry.Shape }, Offset = { new long[entry.Shape.Count] },
                    Shape = { entry.Shape },
                }),
            },
        };
    }

    private static T Sound<T>(ImportedFile file, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidDataException fault)
        {
            throw new InvalidImportException($"{file.Name} cannot be imported: {fault.Message}; write it again as a safetensors file");
        }
    }

    private Task<bool> InsertAsync(
        Guid id, string owner, ImportedFile file, CheckpointManifest manifest, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            await CheckpointSql.RequireChunksAsync(connection, id, manifest, token);
            var (hashes, _) = CheckpointSql.Chunks(manifest);
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    // Again after an answer that was lost: the same row.
                    new("""
                        insert into checkpoints
                            (id, owner, attempt, step, epoch, bytes, manifest, created_at, imported_model, imported_file)
                        values ($1, $2, 0, 0, 0, $3, $4, $5, $6::jsonb, $7) on conflict (id) do nothing
                        """)
                    {
                        Parameters =
                        {
                            new() { Value = id }, new() { Value = owner }, new() { Value = file.Bytes },
                            new() { Value = manifest.ToByteArray() },
                            new() { Value = time.GetUtcNow() }, new() { Value = JsonColumn.Write(file.Model) }, new() { Value = file.Name },
                        },
                    },
                    new("insert into checkpoint_chunk_refs select $1, $1, h from (select distinct unnest($2::bytea[]) as h) "
                        + "hashes on conflict do nothing")
                    {
                        Parameters = { new() { Value = id }, new() { Value = hashes } },
                    },
                },
            };
            await batch.ExecuteNonQueryAsync(token);
            return true;
        }, cancellationToken);

    private Task<int> DeleteChunksAsync(Guid holder) => database.RunAsync(async (connection, token) =>
    {
        await using var batch = new NpgsqlBatch(connection) { BatchCommands = { CheckpointSql.DeleteOrphans(holder) } };
        return await batch.ExecuteNonQueryAsync(token);
    }, CancellationToken.None);
}
