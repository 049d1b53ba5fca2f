using System.Runtime.InteropServices;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Checkpoints;

/// <summary>A rank's part of a checkpoint, copied at one moment, so that training may go on while it is written.</summary>
/// <remarks>The copies lie outside the garbage collector's heap: a large model would otherwise fragment it at every checkpoint.</remarks>
public sealed unsafe class CheckpointSnapshot : IDisposable
{
    private readonly List<Tensor> _tensors = [];
    private readonly List<(string Name, byte[] Content)> _files = [];

    /// <summary>Optimizer steps done.</summary>
    public required long Step { get; init; }

    public required int Epoch { get; init; }

    public required int WorldSize { get; init; }

    public required Parallelism Parallelism { get; init; }

    /// <summary>How many ranks hand in a part of this checkpoint; one in data-parallel training, where every rank holds the same.</summary>
    public int Parts { get; init; } = 1;

    /// <summary>What the files hold.</summary>
    public ArtifactKind Kind { get; init; }

    public double? ValidationAccuracy { get; init; }

    internal IReadOnlyList<Tensor> Tensors => _tensors;

    internal IReadOnlyList<(string Name, byte[] Content)> Files => _files;

    /// <summary>Copies a shard: <c>global[offset[d] : offset[d] + shape[d]]</c> for every dim d, contiguous and row-major.</summary>
    /// <param name="file">The safetensors file it goes into. Two ranks never write the same file.</param>
    /// <param name="name">The global tensor's name: PyTorch's, for weights.</param>
    /// <param name="dtype">The format's name: "F32".</param>
    /// <param name="globalShape">Of the whole tensor.</param>
    /// <param name="offset">Where the shard begins; all zero for a whole tensor.</param>
    /// <param name="shape">Of the shard.</param>
    /// <param name="data">Its bytes.</param>
    /// <exception cref="ArgumentException">Shard, shape and bytes do not fit together, or the file has the name already.</exception>
    public void AddTensor(
        string file, string name, string dtype, ReadOnlySpan<long> globalShape, ReadOnlySpan<long> offset, ReadOnlySpan<long> shape,
        ReadOnlySpan<byte> data)
    {
        if (!Shapes.Contains(globalShape.ToArray(), offset.ToArray(), shape.ToArray()))
            throw new ArgumentException(
                $"shard {Shapes.Text(shape)} at {Shapes.Text(offset)} lies outside {name} {Shapes.Text(globalShape)}", nameof(offset));
        if (SafetensorsFormat.TensorBytes(dtype, shape) != data.Length)
            throw new ArgumentException($"shard {Shapes.Text(shape)} of {name}, {dtype}, does not have {data.Length} bytes", nameof(data));
        if (_tensors.Exists(other => other.File == file && other.Name == name))
            throw new ArgumentException($"{file} has a tensor {name} already", nameof(name));
        var copy = (byte*)NativeMemory.Alloc((nuint)Math.Max(data.Length, 1));
        data.CopyTo(new Span<byte>(copy, data.Length));
        _tensors.Add(new Tensor(file, name, dtype, globalShape.ToArray(), offset.ToArray(), shape.ToArray(), copy, data.Length));
    }

    /// <summary>
    /// A whole tensor:
    /// <see cref="AddTensor(string, string, string, ReadOnlySpan{long}, ReadOnlySpan{long}, ReadOnlySpan{long}, ReadOnlySpan{byte})"/>.
    /// </summary>
    public void AddTensor(string file, string name, string dtype, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data) =>
        AddTensor(file, name, dtype, shape, new long[shape.Length], shape, data);

    /// <summary>A file of another kind, such as "position.json".</summary>
    public void AddFile(string name, ReadOnlySpan<byte> content) => _files.Add((name, content.ToArray()));

    public void Dispose()
    {
        foreach (var tensor in _tensors)
            NativeMemory.Free(tensor.Copy);
        _tensors.Clear();
    }

    internal sealed class Tensor(
        string file, string name, string dtype, long[] globalShape, long[] offset, long[] shape, byte* copy, int bytes)
    {
        public string File => file;

        public string Name => name;

        public string DType => dtype;

        public long[] Shape => shape;

        public byte* Copy => copy;

        public ReadOnlySpan<byte> Data => new(copy, bytes);

        public TensorShard Shard() => new()
        {
            Name = name,
            File = file,
            GlobalShape = { globalShape },
            Offset = { offset },
            Shape = { shape },
        };
    }
}
