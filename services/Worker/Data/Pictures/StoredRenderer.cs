using Cluster.Contracts.V1;

namespace Cluster.Worker.Data.Pictures;

/// <summary>For pictures of one size, which a network sees pixel by pixel; a larger network sees them on background (pixel 0).</summary>
/// <param name="normalization">Of the data set.</param>
/// <param name="inputSize">Height and width that the network takes.</param>
/// <param name="augmentation">Of training.</param>
/// <param name="seed">The job's.</param>
public sealed class StoredRenderer(ChannelNormalization normalization, int inputSize, Augmentation augmentation, ulong seed)
    : ISampleRenderer
{
    private readonly int channels = normalization.Mean.Length;
    private readonly float[][] normalized =
        [.. Enumerable.Range(0, normalization.Mean.Length)
            .Select(c => Enumerable.Range(0, 256).Select(pixel => normalization.Apply(c, (byte)pixel)).ToArray())];

    /// <inheritdoc/>
    public int ViewElements { get; } = normalization.Mean.Length * inputSize * inputSize;

    /// <inheritdoc/>
    public int Views(Visit visit) => 1;

    /// <inheritdoc/>
    public void Render(ImagePart part, int sample, Visit visit, PictureBuffers buffers, Span<float> output)
    {
        part.Load(sample, buffers, static _ => 1);
        var view = visit.TrainingEpoch is { } epoch
            ? SampleView.Random(seed, epoch, sample, augmentation.CropPadding, augmentation.Flip)
            : SampleView.Plain;
        Render(buffers.Picture, view, output);
    }

    /// <summary>Writes one picture, (H, W, C) → (C, inputSize, inputSize).</summary>
    public void Render(Picture picture, SampleView view, Span<float> output)
    {
        var (height, width) = picture.Size;
        var (top, left) = ((inputSize - height) / 2, (inputSize - width) / 2);
        var (firstX, endX) = (Math.Max(0, -view.ShiftX), Math.Min(width, width - view.ShiftX));
        for (var c = 0; c < channels; c++)
        {
            var values = normalized[c];
            output.Slice(c * inputSize * inputSize, inputSize * inputSize).Fill(values[0]);
            for (var y = Math.Max(0, -view.ShiftY); y < Math.Min(height, height - view.ShiftY); y++)
            {
                var source = picture.Values.Slice((y + view.ShiftY) * picture.RowBytes, picture.RowBytes);
                var target = output.Slice((((c * inputSize) + top + y) * inputSize) + left, width);
                for (var x = firstX; x < endX; x++)
                    target[view.Flip ? width - 1 - x : x] = values[source[((x + view.ShiftX) * channels) + c]];
            }
        }
    }
}
