using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Data.Loading;

/// <summary>Pictures that are normalised where they are computed with, against those that the loader normalises.</summary>
public sealed class LevelsTests
{
    /// <summary>Three channels, in which every level comes once.</summary>
    private const int Size = 16;

    [Theory]
    [InlineData(new[] { 0.485f, 0.456f, 0.406f }, new[] { 0.229f, 0.224f, 0.225f })] // ImageNet's
    [InlineData(new[] { 0.4914f, 0.4822f, 0.4465f }, new[] { 0.2470f, 0.2435f, 0.2616f })] // CIFAR's
    [InlineData(new[] { 0f, 0.1f, 1 / 3f }, new[] { 1f, 0.7f, 0.001f })]
    public void EveryLevel_OfPicturesOfOneSize_BecomesTheLoadersBits(float[] mean, float[] deviation)
    {
        var augmentation = new Augmentation { CropPadding = 2, Flip = true };
        var renderer = new StoredRenderer(new ChannelNormalization([.. mean], [.. deviation]), Size, augmentation, seed: 1);

        foreach (var visit in (Visit[])[Visit.Evaluation, new Visit(3)])
            Batch(renderer, visit, asLevels: true).ShouldBe(Batch(renderer, visit, asLevels: false));
    }

    /// <summary>A resampled value lies between two levels, of which the nearer travels.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(0.3)]
    public void ResampledPictures_DifferByHalfALevelAtMost_AndAreShiftedAlike(double pcaJitter)
    {
        var normalization = new ChannelNormalization([0.4f, 0.5f, 0.6f], [0.2f, 0.25f, 0.3f]);
        var augmentation = new Augmentation { Crop = DataCatalog.CenterCrop, PcaJitter = pcaJitter, Flip = true };
        foreach (var visit in (Visit[])[Visit.Evaluation, new Visit(3)])
        {
            var renderer = new CroppingRenderer(normalization, shorterSide: 13, inputSize: 11, augmentation, evaluationViews: 10, seed: 1);
            var levels = Batch(renderer, visit, asLevels: true);
            var floats = Batch(renderer, visit, asLevels: false);

            // Half a level over the smallest deviation, and the rounding of some sums of floats of about 10.
            levels.Zip(floats, (level, value) => Math.Abs(level - value)).Max().ShouldBeInRange(1e-4f, (0.5f / 255 / 0.2f) + 1e-5f);
        }
    }

    private static float[] Batch(ISampleRenderer renderer, Visit visit, bool asLevels)
    {
        using var scope = NewDisposeScope();
        var pass = new BatchPass(new EveryLevel(), renderer, visit, MaxBroken: 0, asLevels);
        using var prefetcher = new BatchPrefetcher(pass, [new BatchSamples(new[] { 2, 0, 1 }, 3)], threads: 2);
        prefetcher.TryTake(out var batch, TestContext.Current.CancellationToken).ShouldBeTrue();
        using (batch)
        {
            var size = (int)Math.Sqrt(renderer.ViewElements / 3);
            var (images, labels) = batch.ToTensors(3, size, ScalarType.Float32, CPU);
            labels.data<long>().ToArray().ShouldBe([2, 0, 1]);
            images.shape.ShouldBe([3L * renderer.Views(visit), 3, size, size]);
            return images.data<float>().ToArray();
        }
    }

    private sealed class EveryLevel : ImagePart
    {
        public override int Count => 3;

        public override int Label(int sample) => sample;

        public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
        {
            buffers.Picture.Reshape(new PictureSize(Size, Size), 3);
            var values = buffers.Picture.Values;
            for (var i = 0; i < values.Length; i++)
                values[i] = (byte)((i / 3 * 7) + (sample * 50) + (i % 3 * 80)); // 7 has no factor in common with 256
        }
    }
}
