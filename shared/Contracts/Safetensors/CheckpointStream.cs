using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Contracts.Safetensors;

/// <summary>A checkpoint's files as they come, chunk by chunk, each compared with the hash that the manifest has of it.</summary>
/// <param name="options">Of a call that takes as long as the bytes take.</param>
public sealed class CheckpointStream(
    CheckpointService.CheckpointServiceClient checkpoints, string checkpointId, Func<CancellationToken, CallOptions> options)
{
    /// <exception cref="InvalidDataException">A chunk is not what was stored, or one is missing.</exception>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ChunksAsync(
        CheckpointFile file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new DownloadFileRequest { CheckpointId = checkpointId, File = file.Name };
        using var call = checkpoints.DownloadFile(request, options(cancellationToken));
        foreach (var chunk in file.Chunks)
        {
            if (!await call.ResponseStream.MoveNext(cancellationToken))
                throw new InvalidDataException($"{file.Name} ended early");
            var data = call.ResponseStream.Current.Data;
            if (!chunk.Sha256.Span.SequenceEqual(SHA256.HashData(data.Span)))
                throw new InvalidDataException($"a chunk of {file.Name} came back changed");
            yield return data.Memory;
        }
    }

    /// <summary>The tensors of a safetensors file, and where its data begins. Fetches no more than the header takes.</summary>
    public async Task<(IReadOnlyList<SafetensorsEntry> Entries, long DataBegin)> HeaderAsync(
        CheckpointFile file, CancellationToken cancellationToken)
    {
        var beginning = new MemoryStream();
        await foreach (var chunk in ChunksAsync(file, cancellationToken))
        {
            beginning.Write(chunk.Span);
            if (beginning.Length < sizeof(long))
                continue;
            var header = SafetensorsReader.HeaderBytes(beginning.GetBuffer().AsSpan(0, (int)beginning.Length), file.Bytes);
            if (beginning.Length < sizeof(long) + header)
                continue;
            var dataBegin = (long)sizeof(long) + header;
            return (SafetensorsReader.ParseHeader(beginning.GetBuffer().AsMemory(sizeof(long), header), file.Bytes - dataBegin), dataBegin);
        }

        throw new InvalidDataException($"{file.Name} ends within its header");
    }
}
