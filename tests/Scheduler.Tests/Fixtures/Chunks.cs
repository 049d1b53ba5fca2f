using System.Security.Cryptography;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>Chunks of checkpoints, each all of one byte.</summary>
public static class Chunks
{
    public static PutChunksRequest Of(byte content, int bytes = 1000)
    {
        var data = new byte[bytes];
        Array.Fill(data, content);
        return new PutChunksRequest { Sha256 = ByteString.CopyFrom(SHA256.HashData(data)), Data = ByteString.CopyFrom(data) };
    }

    public static async IAsyncEnumerable<PutChunksRequest> Stream(params PutChunksRequest[] chunks)
    {
        foreach (var chunk in chunks)
        {
            await Task.Yield();
            yield return chunk;
        }
    }

    public static CheckpointFile File(string name, params PutChunksRequest[] chunks) => new()
    {
        Name = name,
        Bytes = chunks.Sum(c => c.Data.Length),
        Chunks = { chunks.Select(c => new ChunkRef { Sha256 = c.Sha256, Bytes = c.Data.Length }) },
    };
}
