using Cluster.Contracts.Safetensors;
using Microsoft.Win32.SafeHandles;

namespace Cluster.Worker.Checkpoints;

/// <summary>A safetensors file on this machine. Reads the header at once and tensors only as asked.</summary>
public sealed class SafetensorsFile : IWeights, IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly long _dataBegin;
    private readonly Dictionary<string, SafetensorsEntry> _entries;
    private long _bytesRead;

    private SafetensorsFile(SafeFileHandle file, long dataBegin, Dictionary<string, SafetensorsEntry> entries) =>
        (_file, _dataBegin, _entries) = (file, dataBegin, entries);

    public IEnumerable<string> WeightNames => _entries.Keys;

    /// <inheritdoc/>
    public long BytesRead => Interlocked.Read(ref _bytesRead);

    /// <exception cref="InvalidDataException">Not a safetensors file; the message says what is wrong with it.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        var file = File.OpenHandle(path);
        try
        {
            var bytes = RandomAccess.GetLength(file);
            var headerBytes = SafetensorsReader.HeaderBytes(Read(file, 0, (int)Math.Min(bytes, sizeof(long))), bytes);
            var dataBegin = sizeof(long) + headerBytes;
            var entries = SafetensorsReader.ParseHeader(Read(file, sizeof(long), headerBytes), bytes - dataBegin);
            return new SafetensorsFile(file, dataBegin, entries.ToDictionary(entry => entry.Name));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public IReadOnlyList<long> GlobalShape(string name) => Entry(name).Shape;

    public Task<string> DTypeAsync(string name, CancellationToken cancellationToken) => Task.FromResult(Entry(name).DType);

    public Task<byte[]> ReadSliceAsync(
        string name, IReadOnlyList<long> offset, IReadOnlyList<long> shape, CancellationToken cancellationToken)
    {
        var entry = Entry(name);
        if (!Shapes.Contains(entry.Shape, offset, shape))
            throw new InvalidDataException(
                $"the slice {Shapes.Text([.. shape])} at {Shapes.Text([.. offset])} lies outside {name} {Shapes.Text([.. entry.Shape])}");
        var elementBytes = SafetensorsFormat.ElementBytes(entry.DType);
        var slice = new byte[SafetensorsFormat.TensorBytes(entry.DType, [.. shape])];
        foreach (var (source, target, count) in Shapes.SharedRuns(new long[entry.Shape.Count], entry.Shape, offset, shape))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var part = slice.AsSpan((int)(target * elementBytes), (int)(count * elementBytes));
            Read(_file, _dataBegin + entry.Begin + (source * elementBytes), part);
            Interlocked.Add(ref _bytesRead, part.Length);
        }

        return Task.FromResult(slice);
    }

    public void Dispose() => _file.Dispose();

    private SafetensorsEntry Entry(string name) =>
        _entries.TryGetValue(name, out var entry) ? entry : throw new InvalidDataException($"the file has no tensor '{name}'");

    private static byte[] Read(SafeFileHandle file, long begin, int count)
    {
        var bytes = new byte[count];
        Read(file, begin, bytes);
        return bytes;
    }

    private static void Read(SafeFileHandle file, long begin, Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var got = RandomAccess.Read(file, bytes, begin);
            if (got == 0)
                throw new InvalidDataException("the file became shorter while it was read");
            begin += got;
            bytes = bytes[got..];
        }
    }
}
