using Cluster.Models;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Data.Loading;

/// <summary>One rank's samples of a batch, ready to be copied to its device. Its memory is another batch's after disposal.</summary>
public sealed class HostBatch(int samples, int globalSize, int views, int viewElements) : IDisposable
{
    private readonly Tensor _images = HostMemory.Rent(ScalarType.Float32, (long)samples * views * viewElements);
    private readonly Tensor _labels = HostMemory.Rent(ScalarType.Int64, samples);

    /// <summary>Samples of this rank.</summary>
    public int Samples => samples;

    /// <summary>Samples of all ranks together.</summary>
    public int GlobalSize => globalSize;

    /// <summary>Of every sample, next to each other.</summary>
    public int Views => views;

    /// <summary>Samples × views × elements of a view.</summary>
    public Span<float> Images => TensorMemory.Values<float>(_images);

    public Span<long> Labels => TensorMemory.Values<long>(_labels);

    /// <summary>Samples whose pictures are broken, each with what is wrong with it; others stand in their place.</summary>
    public IReadOnlyList<string> Broken { get; internal set; } = [];

    /// <summary>As <see cref="Images"/> and <see cref="Labels"/>.</summary>
    internal (Tensor Images, Tensor Labels) Memory => (_images, _labels);

    /// <summary>
    /// (n · views, channels, size, size) images of the network's precision and (n) int64 labels, in the current dispose scope. On the CPU
    /// they may be this batch's own memory; on a GPU they are there once it has done what it was given before: until one of the two is
    /// over, the batch must live.
    /// </summary>
    /// <param name="channels">Of an image.</param>
    /// <param name="size">Pixels a side.</param>
    /// <param name="precision">Of the network.</param>
    /// <param name="device">That computes.</param>
    /// <param name="channelsLast">Whether a pixel's channels shall lie together.</param>
    /// <param name="feed">Where the batch may have been sent ahead.</param>
    public (Tensor Images, Tensor Labels) ToTensors(
        int channels, int size, ScalarType precision, Device device, bool channelsLast = false, DeviceFeed? feed = null)
    {
        var (flat, labels) = feed?.Take(this) ?? (_images.to(device, non_blocking: true), _labels.alias().to(device, non_blocking: true));
        // First there, then of that type: the CPU would take longer to round them than they take to travel.
        var images = flat.view(samples * views, channels, size, size).to(precision);
        return (channelsLast ? ImageLayout.ToChannelsLast(images) : images, labels);
    }

    public void Dispose()
    {
        HostMemory.Return(_images);
        HostMemory.Return(_labels);
    }
}
