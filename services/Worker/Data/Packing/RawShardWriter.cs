using System.Buffers.Binary;
using Cluster.Contracts.Safetensors;
using Cluster.Worker.Data.Formats;

namespace Cluster.Worker.Data.Packing;

/// <summary>Writes one <see cref="RawShard"/>, picture by picture.</summary>
internal sealed class RawShardWriter : IDisposable
{
    private readonly FileStream _file;

    /// <param name="path">Of a file that is not there yet.</param>
    /// <param name="side">Pixels a side of every picture.</param>
    /// <param name="channels">Of every picture.</param>
    /// <param name="labels">Of the pictures that follow, in their order.</param>
    public RawShardWriter(string path, int side, int channels, IReadOnlyCollection<int> labels)
    {
        _file = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
        // Wider elements first: so both are aligned.
        _file.Write(SafetensorsWriter.Header(
            [(RawShard.LabelsName, "I64", [labels.Count]), (RawShard.ImagesName, "U8", [labels.Count, side, side, channels])]));
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        foreach (var label in labels)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes, label);
            _file.Write(bytes);
        }
    }

    /// <param name="pictures">Any number of them, one behind the other, each (side, side, C).</param>
    public void Write(ReadOnlySpan<byte> pictures) => _file.Write(pictures);

    public void Dispose() => _file.Dispose();
}
