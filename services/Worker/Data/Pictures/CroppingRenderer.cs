using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Models;

namespace Cluster.Worker.Data.Pictures;

/// <summary>For pictures of all sizes: a window of each, resized to what the network takes.</summary>
/// <param name="normalization">Of the data set.</param>
/// <param name="shorterSide">That a picture is resized to before a crop; a random resized crop takes its window from the stored picture
/// instead.</param>
/// <param name="inputSize">Height and width that the network takes.</param>
/// <param name="augmentation">Of training.</param>
/// <param name="evaluationViews">1: the middle; 10: the four corners and the middle, and all five mirrored.</param>
/// <param name="seed">The job's.</param>
public sealed class CroppingRenderer(
    ChannelNormalization normalization, int shorterSide, int inputSize, Augmentation augmentation, int evaluationViews, ulong seed)
    : ISampleRenderer
{
    private readonly int _channels = normalization.Mean.Length;
    private readonly float[] _scale = [.. normalization.Deviation.Select(deviation => 1 / (255 * deviation))];

    /// <inheritdoc/>
    public int ViewElements { get; } = normalization.Mean.Length * inputSize * inputSize;

    /// <inheritdoc/>
    public ChannelNormalization Normalization => normalization;

    /// <inheritdoc/>
    public int Views(Visit visit) => visit.TrainingEpoch is null ? evaluationViews : 1;

    /// <inheritdoc/>
    public void Render(ImagePart part, int sample, Visit visit, PictureBuffers buffers, Span<float> output)
    {
        Span<double> shift = stackalloc double[_channels];
        var seen = Load(part, sample, visit, buffers, shift);
        Span<float> offset = stackalloc float[_channels];
        for (var c = 0; c < _channels; c++)
            offset[c] = (float)((shift[c] - normalization.Mean[c]) / normalization.Deviation[c]);
        for (var view = 0; view < seen.Views; view++)
        {
            buffers.Resampler.Resample(
                buffers.Picture, seen.Window(view), inputSize, seen.Flips(view), _scale, offset,
                output.Slice(view * ViewElements, ViewElements));
        }
    }

    /// <inheritdoc/>
    /// <remarks>Resampled values are rounded to whole levels, as PIL's are; <see cref="Render"/> keeps what lies between two.</remarks>
    public void RenderLevels(ImagePart part, int sample, Visit visit, PictureBuffers buffers, Span<byte> output, Span<double> shift)
    {
        var seen = Load(part, sample, visit, buffers, shift);
        for (var view = 0; view < seen.Views; view++)
        {
            buffers.Resampler.ResampleLevels(
                buffers.Picture, seen.Window(view), inputSize, seen.Flips(view), output.Slice(view * ViewElements, ViewElements));
        }
    }

    /// <summary>Reads the picture.</summary>
    /// <returns>What is seen of it.</returns>
    private Sight Load(ImagePart part, int sample, Visit visit, PictureBuffers buffers, Span<double> shift)
    {
        shift.Clear();
        if (visit.TrainingEpoch is not { } epoch)
            return LoadEvaluation(part, sample, buffers);
        var key = CounterRandom.Key(seed, CounterRandom.Word("augmentation"), (ulong)epoch, (ulong)sample);
        return LoadTraining(part, sample, key, buffers, shift);
    }

    private Sight LoadTraining(ImagePart part, int sample, ulong key, PictureBuffers buffers, Span<double> shift)
    {
        CropWindow Choose(PictureSize size) => augmentation.Crop switch
        {
            DataCatalog.RandomResizedCrop => CropWindow.OfBox(CropChoice.RandomBox(key, size, augmentation), inputSize),
            DataCatalog.CenterCrop => CropChoice.OfResized(size, shorterSide, inputSize, CropChoice.Middle),
            _ => CropChoice.OfResized(size, shorterSide, inputSize, (lefts, tops) => CropChoice.Anywhere(key, lefts, tops)),
        };

        part.Load(sample, buffers, size => Choose(size).Enough);
        if (augmentation.PcaJitter > 0)
            PcaJitter.Draw(key, augmentation.PcaJitter, shift);
        var flip = augmentation.Flip && CounterRandom.Below(key, 2, 2) == 1;
        var window = Choose(buffers.Picture.StoredSize).In(buffers.Picture);
        return new Sight(1, _ => window, _ => flip);
    }

    private Sight LoadEvaluation(ImagePart part, int sample, PictureBuffers buffers)
    {
        CropWindow Choose(PictureSize size, int place) =>
            CropChoice.OfResized(size, shorterSide, inputSize, (lefts, tops) => CropChoice.CornerOrMiddle(place, lefts, tops));

        const int Middle = 4;
        part.Load(sample, buffers, size => Choose(size, Middle).Enough);
        var picture = buffers.Picture;
        return new Sight(
            evaluationViews, view => Choose(picture.StoredSize, evaluationViews == 1 ? Middle : view % 5).In(picture), view => view >= 5);
    }

    /// <param name="Views">Of the sample.</param>
    /// <param name="Window">Each one's, in the picture's own pixels.</param>
    /// <param name="Flips">Whether it is mirrored.</param>
    private readonly record struct Sight(int Views, Func<int, CropWindow> Window, Func<int, bool> Flips);
}
