using System.Buffers;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Data.Loading;

/// <summary>One rank's samples of a batch, ready to be copied to its device. Its arrays go back to the pool on disposal.</summary>
public sealed class HostBatch(int samples, int globalSize, int sampleElements) : IDisposable
{
    private readonly float[] _images = ArrayPool<float>.Shared.Rent(samples * sampleElements);
    private readonly long[] _labels = ArrayPool<long>.Shared.Rent(samples);

    /// <summary>Samples of this rank.</summary>
    public int Samples => samples;

    /// <summary>Samples of all ranks together.</summary>
    public int GlobalSize => globalSize;

    /// <summary>Rows of <c>sampleElements</c> values.</summary>
    public Span<float> Images => _images.AsSpan(0, samples * sampleElements);

    public Span<long> Labels => _labels.AsSpan(0, samples);

    /// <summary>(n, channels, size, size) images of the network's precision and (n) int64 labels, in the current dispose scope.</summary>
    public (Tensor Images, Tensor Labels) ToTensors(int channels, int size, ScalarType precision, Device device)
    {
        var images = empty(samples, channels, size, size, dtype: ScalarType.Float32);
        MemoryMarshal.AsBytes(Images).CopyTo(images.bytes);
        var labels = empty(samples, dtype: ScalarType.Int64);
        MemoryMarshal.AsBytes(Labels).CopyTo(labels.bytes);
        return (images.to(precision, device), labels.to(device));
    }

    public void Dispose()
    {
        ArrayPool<float>.Shared.Return(_images);
        ArrayPool<long>.Shared.Return(_labels);
    }
}
