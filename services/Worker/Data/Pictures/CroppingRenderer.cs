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
    private readonly int channels = normalization.Mean.Length;
    private readonly float[] scale = [.. normalization.Deviation.Select(deviation => 1 / (255 * deviation))];

    /// <inheritdoc/>
    public int ViewElements { get; } = normalization.Mean.Length * inputSize * inputSize;

    /// <inheritdoc/>
    public int Views(Visit visit) => visit.TrainingEpoch is null ? evaluationViews : 1;

    /// <inheritdoc/>
    public void Render(ImagePart part, int sample, Visit visit, PictureBuffers buffers, Span<float> output)
    {
        if (visit.TrainingEpoch is { } epoch)
            RenderTraining(
                part, sample, CounterRandom.Key(seed, CounterRandom.Word("augmentation"), (ulong)epoch, (ulong)sample), buffers, output);
        else
            RenderEvaluation(part, sample, buffers, output);
    }

    private void RenderTraining(ImagePart part, int sample, ulong key, PictureBuffers buffers, Span<float> output)
    {
        CropWindow Choose(PictureSize size) => augmentation.Crop switch
        {
            DataCatalog.RandomResizedCrop => CropWindow.OfBox(CropChoice.RandomBox(key, size, augmentation), inputSize),
            DataCatalog.CenterCrop => CropChoice.OfResized(size, shorterSide, inputSize, CropChoice.Middle),
            _ => CropChoice.OfResized(size, shorterSide, inputSize, (lefts, tops) => CropChoice.Anywhere(key, lefts, tops)),
        };

        part.Load(sample, buffers, size => Choose(size).Enough);
        Span<double> shift = stackalloc double[channels];
        if (augmentation.PcaJitter > 0)
            PcaJitter.Draw(key, augmentation.PcaJitter, shift);
        var flip = augmentation.Flip && CounterRandom.Below(key, 2, 2) == 1;
        Resample(buffers, Choose(buffers.Picture.StoredSize), flip, shift, output);
    }

    private void RenderEvaluation(ImagePart part, int sample, PictureBuffers buffers, Span<float> output)
    {
        CropWindow Choose(PictureSize size, int place) =>
            CropChoice.OfResized(size, shorterSide, inputSize, (lefts, tops) => CropChoice.CornerOrMiddle(place, lefts, tops));

        const int Middle = 4;
        part.Load(sample, buffers, size => Choose(size, Middle).Enough);
        Span<double> shift = stackalloc double[channels];
        shift.Clear();
        for (var view = 0; view < evaluationViews; view++)
        {
            var place = evaluationViews == 1 ? Middle : view % 5;
            Resample(buffers, Choose(buffers.Picture.StoredSize, place), flip: view >= 5, shift,
                output.Slice(view * ViewElements, ViewElements));
        }
    }

    private void Resample(PictureBuffers buffers, CropWindow window, bool flip, ReadOnlySpan<double> shift, Span<float> output)
    {
        var picture = buffers.Picture;
        Span<float> offset = stackalloc float[channels];
        for (var c = 0; c < channels; c++)
            offset[c] = (float)((shift[c] - normalization.Mean[c]) / normalization.Deviation[c]);
        buffers.Resampler.Resample(picture, window.In(picture), inputSize, flip, scale, offset, output);
    }
}
