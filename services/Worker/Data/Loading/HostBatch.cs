using System.Buffers;
using System.Runtime.InteropServices;
using Cluster.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Data.Loading;

/// <summary>One rank's samples of a batch, ready to be copied to its device. Its arrays go back to the pool on disposal.</summary>
public sealed class HostBatch(int samples, int globalSize, int views, int viewElements) : IDisposable
{
    private readonly float[] _images = ArrayPool<float>.Shared.Rent(samples * views * viewElements);
    private readonly long[] _labels = ArrayPool<long>.Shared.Rent(samples);

    /// <summary>Samples of this rank.</summary>
    public int Samples => samples;

    /// <summary>Samples of all ranks together.</summary>
    public int GlobalSize => globalSize;

    /// <summary>Of every sample, next to each other.</summary>
    public int Views => views;

    /// <summary>Samples × views × elements of a view.</summary>
    public Span<float> Images => _images.AsSpan(0, samples * views * viewElements);

    public Span<long> Labels => _labels.AsSpan(0, samples);

    /// <summary>Samples whose pictures are broken, each with what is wrong with it; others stand in their place.</summary>
    public IReadOnlyList<string> Broken { get; internal set; } = [];

    /// <summary>(n · views, channels, size, size) images of the network's precision and (n) int64 labels, in the current dispose scope.</summary>
    /// <param name="channels">Of an image.</param>
    /// <param name="size">Pixels a side.</param>
    /// <param name="precision">Of the network.</param>
    /// <param name="device">That computes.</param>
    /// <param name="channelsLast">Whether a pixel's channels shall lie together.</param>
    public (Tensor Images, Tensor Labels) ToTensors(int channels, int size, ScalarType precision, Device device, bool channelsLast = false)
    {
        var images = empty(samples * views, channels, size, size, dtype: ScalarType.Float32);
        MemoryMarshal.AsBytes(Images).CopyTo(images.bytes);
        var labels = empty(samples, dtype: ScalarType.Int64);
        MemoryMarshal.AsBytes(Labels).CopyTo(labels.bytes);
        images = images.to(precision, device);
        return (channelsLast ? ImageLayout.ToChannelsLast(images) : images, labels.to(device));
    }

    public void Dispose()
    {
        ArrayPool<float>.Shared.Return(_images);
        ArrayPool<long>.Shared.Return(_labels);
    }
}
