using Cluster.Models;
using Cluster.Worker.Data.Pictures;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Data.Loading;

/// <summary>One rank's samples of a batch, ready to be copied to its device. Its memory is another batch's after disposal.</summary>
/// <remarks>
/// Of a batch that is normalised on its device, pictures are levels of 0 to 255 and with them go rows of a number for each channel: 255,
/// by which levels are divided, the deviation, by which they are last, and for each sample what is added in between. As tensors, for
/// libtorch multiplies by the inverse of a number on GPUs, which rounds otherwise.
/// </remarks>
/// <param name="samples">Of this rank.</param>
/// <param name="globalSize">Samples of all ranks.</param>
/// <param name="views">Of every sample.</param>
/// <param name="viewElements">Of a view.</param>
/// <param name="normalization">What the device is to do with levels; null where images are normalised already.</param>
public sealed class HostBatch(int samples, int globalSize, int views, int viewElements, ChannelNormalization? normalization = null)
    : IDisposable
{
    /// <summary>In <see cref="Memory"/>.</summary>
    internal const int MostTensors = 3;

    private const int CommonRows = 2; // 255 and the deviation

    private readonly int _channels = normalization?.Mean.Length ?? 0;
    private readonly Tensor _images = HostMemory.Rent(
        normalization is null ? ScalarType.Float32 : ScalarType.Byte, (long)samples * views * viewElements);

    private readonly Tensor _labels = HostMemory.Rent(ScalarType.Int64, samples);
    private readonly Tensor _colours = ColoursOf(samples, normalization);

    /// <summary>Samples of this rank.</summary>
    public int Samples => samples;

    /// <summary>Samples of all ranks together.</summary>
    public int GlobalSize => globalSize;

    /// <summary>Of every sample, next to each other.</summary>
    public int Views => views;

    /// <summary>Samples × views × elements of a view.</summary>
    public Span<float> Images => TensorMemory.Values<float>(_images);

    /// <summary>As <see cref="Images"/>, of a batch that is normalised on its device.</summary>
    internal Span<byte> Levels => TensorMemory.Values<byte>(_images);

    public Span<long> Labels => TensorMemory.Values<long>(_labels);

    /// <summary>Samples whose pictures are broken, each with what is wrong with it; others stand in their place.</summary>
    public IReadOnlyList<string> Broken { get; internal set; } = [];

    /// <summary>All that a device needs of it.</summary>
    internal IReadOnlyList<Tensor> Memory => normalization is null ? [_images, _labels] : [_images, _labels, _colours];

    /// <summary>What is added to a sample's channels, as a share of 255.</summary>
    internal void SetShift(int row, ReadOnlySpan<double> shift)
    {
        var offset = TensorMemory.Values<float>(_colours).Slice((CommonRows + row) * _channels, _channels);
        for (var c = 0; c < _channels; c++)
            offset[c] = (float)(shift[c] - normalization!.Mean[c]);
    }

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
        var there = feed?.Take(this) ?? [.. Memory.Select(tensor => tensor.alias().to(device, non_blocking: true))];
        var images = there[0].view(samples * views, channels, size, size);
        // First there, then of that type: the CPU would take longer to round them than they take to travel.
        images = (normalization is null ? images : Normalized(images, there[2])).to(precision);
        return (channelsLast ? ImageLayout.ToChannelsLast(images) : images, there[1]);
    }

    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[_images, _labels, _colours])
            HostMemory.Return(tensor);
    }

    private static Tensor ColoursOf(int samples, ChannelNormalization? normalization)
    {
        var channels = normalization?.Mean.Length ?? 0;
        var colours = HostMemory.Rent(ScalarType.Float32, normalization is null ? 0 : (CommonRows + samples) * channels);
        if (normalization is null)
            return colours;
        var rows = TensorMemory.Values<float>(colours);
        rows[..channels].Fill(255);
        normalization.Deviation.AsSpan().CopyTo(rows[channels..]);
        return colours;
    }

    /// <summary>
    /// The bits of <see cref="ChannelNormalization.Apply"/> where a sample's channels are not shifted: the same operations, each rounded
    /// by itself.
    /// </summary>
    private Tensor Normalized(Tensor levels, Tensor colours)
    {
        var rows = colours.view(CommonRows + samples, _channels);
        var offsets = rows.narrow(0, CommonRows, samples).repeat_interleave(views, 0).view(samples * views, _channels, 1, 1);
        return levels.to(ScalarType.Float32).div_(Row(0)).add_(offsets).div_(Row(1));

        Tensor Row(int number) => rows[number].view(1, _channels, 1, 1);
    }
}
