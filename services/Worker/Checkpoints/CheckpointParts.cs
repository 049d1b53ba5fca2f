using System.Security.Cryptography;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Worker.Checkpoints;

/// <summary>Turns a snapshot into files, and the files into chunks; the manifest fills while the chunks are read.</summary>
internal sealed class CheckpointParts(CheckpointSnapshot snapshot)
{
    /// <summary>As AttemptService.PutChunks takes them.</summary>
    public const int MaxChunkBytes = 1 << 20;

    /// <summary>This rank's part; whole once <see cref="Chunks"/> has been read to its end.</summary>
    public CheckpointManifest Manifest { get; } = NewManifest(snapshot);

    /// <summary>Every chunk of every file. One chunk's bytes are valid until the next is asked for.</summary>
    public IEnumerable<PutChunksRequest> Chunks()
    {
        var buffer = new byte[MaxChunkBytes];
        foreach (var file in snapshot.Tensors.GroupBy(tensor => tensor.File))
        {
            foreach (var chunk in Cut(file.Key, TensorFile(file), buffer))
                yield return chunk;
        }

        foreach (var (name, content) in snapshot.Files)
        {
            foreach (var chunk in Cut(name, [new Piece(content, null)], buffer))
                yield return chunk;
        }
    }

    private static CheckpointManifest NewManifest(CheckpointSnapshot snapshot)
    {
        var manifest = new CheckpointManifest
        {
            Step = snapshot.Step,
            Epoch = snapshot.Epoch,
            WorldSize = snapshot.WorldSize,
            Parallelism = snapshot.Parallelism,
            Kind = snapshot.Kind,
            Tensors = { snapshot.Tensors.Select(tensor => tensor.Shard()) },
        };
        if (snapshot.ValidationAccuracy is { } accuracy)
            manifest.ValidationAccuracy = accuracy;
        return manifest;
    }

    private static List<Piece> TensorFile(IEnumerable<CheckpointSnapshot.Tensor> tensors)
    {
        var ordered = SafetensorsWriter.DataOrder(tensors, tensor => tensor.DType, tensor => tensor.Name).ToList();
        var header = SafetensorsWriter.Header([.. ordered.Select(tensor => (tensor.Name, tensor.DType, tensor.Shape))]);
        return [new Piece(header, null), .. ordered.Select(tensor => new Piece([], tensor))];
    }

    private IEnumerable<PutChunksRequest> Cut(string name, IReadOnlyList<Piece> pieces, byte[] buffer)
    {
        var file = new CheckpointFile { Name = name, Bytes = pieces.Sum(piece => (long)piece.Bytes.Length) };
        Manifest.Files.Add(file);
        var filled = 0;
        foreach (var piece in pieces)
        {
            for (var taken = 0; taken < piece.Bytes.Length;)
            {
                var count = Math.Min(piece.Bytes.Length - taken, buffer.Length - filled);
                piece.Bytes.Slice(taken, count).CopyTo(buffer.AsSpan(filled));
                taken += count;
                filled += count;
                if (filled == buffer.Length)
                    yield return Chunk(file, buffer, ref filled);
            }
        }

        if (filled > 0)
            yield return Chunk(file, buffer, ref filled);
    }

    private static PutChunksRequest Chunk(CheckpointFile file, byte[] buffer, ref int filled)
    {
        var bytes = buffer.AsMemory(0, filled);
        var hash = ByteString.CopyFrom(SHA256.HashData(bytes.Span));
        file.Chunks.Add(new ChunkRef { Sha256 = hash, Bytes = filled });
        filled = 0;
        return new PutChunksRequest { Sha256 = hash, Data = UnsafeByteOperations.UnsafeWrap(bytes) };
    }

    private readonly struct Piece(byte[] array, CheckpointSnapshot.Tensor? tensor)
    {
        public ReadOnlySpan<byte> Bytes => tensor is null ? array : tensor.Data;
    }
}
