using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A checkpoint whose weights lie in several files, in chunks that cut them anywhere.</summary>
internal sealed class SplitWeights
{
    private const int ChunkBytes = 13;

    private readonly Dictionary<string, byte[]> _files = [];

    /// <summary>fc.weight, 2×4: each of two ranks has two of the columns, so that the whole takes from both by turns.</summary>
    public static SplitWeights OfTwoRanks()
    {
        var weights = new SplitWeights();
        weights.Add("model-0.safetensors", [("bn.running_var", [2], [1, 2]), ("fc.weight", [2, 2], [0, 1, 4, 5])]);
        weights.Add("model-1.safetensors", [("fc.weight", [2, 2], [2, 3, 6, 7])]);
        weights.AddShard("bn.running_var", "model-0.safetensors", [2], [0], [2]);
        weights.AddShard("fc.weight", "model-0.safetensors", [2, 4], [0, 0], [2, 2]);
        weights.AddShard("fc.weight", "model-1.safetensors", [2, 4], [0, 2], [2, 2]);
        weights.Manifest.Files.Add(new CheckpointFile { Name = "position.json" });
        return weights;
    }

    /// <summary>As no trainer of ours writes them: what the whole has first comes last.</summary>
    public static SplitWeights OutOfOrder()
    {
        var weights = new SplitWeights();
        weights.Add("model.safetensors", [("z", [1], [1]), ("a", [1], [2])]);
        weights.AddShard("z", "model.safetensors", [1], [0], [1]);
        weights.AddShard("a", "model.safetensors", [1], [0], [1]);
        return weights;
    }

    public CheckpointManifest Manifest { get; } = new() { Step = 40 };

    /// <summary>Whether a file's last chunk comes back changed.</summary>
    public bool LastChunkIsChanged { get; set; }

    public IEnumerable<byte[]> Chunks(string file)
    {
        var chunks = _files[file].Chunk(ChunkBytes).ToList();
        if (LastChunkIsChanged)
            chunks[^1] = [.. chunks[^1].Select(part => (byte)(part + 1))];
        return chunks;
    }

    private void Add(string name, (string Name, long[] Shape, float[] Values)[] tensors)
    {
        byte[] content =
        [
            .. SafetensorsWriter.Header([.. tensors.Select(tensor => (tensor.Name, "F32", tensor.Shape))]),
            .. tensors.SelectMany(tensor => MemoryMarshal.AsBytes(tensor.Values.AsSpan()).ToArray()),
        ];
        _files[name] = content;
        Manifest.Files.Add(new CheckpointFile
        {
            Name = name,
            Bytes = content.Length,
            Chunks =
            {
                content.Chunk(ChunkBytes).Select(
                    chunk => new ChunkRef { Sha256 = ByteString.CopyFrom(SHA256.HashData(chunk)), Bytes = chunk.Length }),
            },
        });
    }

    private void AddShard(string name, string file, long[] whole, long[] offset, long[] shape) => Manifest.Tensors.Add(
        new TensorShard { Name = name, File = file, GlobalShape = { whole }, Offset = { offset }, Shape = { shape } });
}
