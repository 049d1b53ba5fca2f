using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Worker.Tests.Data.Loading;

/// <summary>What takes the place of a picture that cannot be read, and when there are too many.</summary>
public sealed class BrokenPictureTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void BrokenPicture_IsReplacedByTheNextWholeOne(int threads)
    {
        using var prefetcher = Prefetch(broken: [1, 2, 5], maxBroken: 3, threads);

        prefetcher.TryTake(out var batch, TestContext.Current.CancellationToken).ShouldBeTrue();

        using (batch)
        {
            batch!.Labels.ToArray().ShouldBe([0, 3, 3, 3, 4, 0]); // behind the last one comes the first
            batch.Images.ToArray().Select(value => (int)MathF.Round(value)).ShouldBe([0, 3, 3, 3, 4, 0]);
            batch.Broken.ShouldBe(["picture 1 is broken", "picture 2 is broken", "picture 5 is broken"]);
        }
    }

    [Fact]
    public void MoreThanTheLimit_EndsThePassWithTheFilesName()
    {
        using var prefetcher = Prefetch(broken: [1, 5], maxBroken: 1, threads: 2);

        Should.Throw<JobMisconfiguredException>(() => prefetcher.TryTake(out _, TestContext.Current.CancellationToken)).Message.ShouldBe(
            "picture 5 is broken; data.maxBrokenImages is 1 and 2 pictures are broken: replace them on every node that has the data, "
                + "or raise it to leave them out");
    }

    [Fact]
    public void WithoutALimit_TheFirstOneEndsThePass()
    {
        using var prefetcher = Prefetch(broken: [3], maxBroken: 0, threads: 1);

        Should.Throw<JobMisconfiguredException>(() => prefetcher.TryTake(out _, TestContext.Current.CancellationToken)).Message
            .ShouldStartWith("picture 3 is broken; data.maxBrokenImages is 0 and 1 picture is broken");
    }

    [Fact]
    public void NothingButBrokenPictures_EndsThePass()
    {
        using var prefetcher = Prefetch(broken: [0, 1, 2, 3, 4, 5], maxBroken: 1000, threads: 1);

        Should.Throw<JobMisconfiguredException>(() => prefetcher.TryTake(out _, TestContext.Current.CancellationToken))
            .Message.ShouldContain("6 pictures are broken");
    }

    [Fact]
    public void CountOfAllRanks_EndsThemAtTheSameStep()
    {
        var count = new BrokenCount(limit: 2, NullLogger.Instance);
        count.BeginPass();
        count.Note(["picture 7 is broken"]);
        count.TakeNew().ShouldBe(1);
        count.TakeNew().ShouldBe(0);
        count.Agree(2);
        count.InPass.ShouldBe(2);

        Should.Throw<JobMisconfiguredException>(() => count.Agree(1))
            .Message.ShouldStartWith("picture 7 is broken; data.maxBrokenImages is 2 and 3 pictures");

        count.BeginPass();
        count.Agree(2); // the next pass counts from the beginning
        Should.Throw<JobMisconfiguredException>(() => count.Agree(1)).Message.ShouldStartWith("another rank has met a broken picture");
    }

    private static BatchPrefetcher Prefetch(int[] broken, int maxBroken, int threads)
    {
        var renderer = new StoredRenderer(ChannelNormalization.Uniform(1, 0, 1 / 255f), 1, new Augmentation(), seed: 1);
        return new BatchPrefetcher(new BatchPass(new SixPictures(broken), renderer, Visit.Evaluation, maxBroken),
            [new BatchSamples(new[] { 0, 1, 2, 3, 4, 5 }, 6)], threads);
    }

    /// <summary>Picture i has one pixel of level i and is of class i.</summary>
    private sealed class SixPictures(int[] broken) : ImagePart
    {
        public override int Count => 6;

        public override int Label(int sample) => sample;

        public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
        {
            if (broken.Contains(sample))
                throw new BrokenPictureException($"picture {sample} is broken");
            buffers.Picture.Reshape(new PictureSize(1, 1), 1);
            buffers.Picture.Values[0] = (byte)sample;
        }
    }
}
