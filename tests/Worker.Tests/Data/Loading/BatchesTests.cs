using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Loading;

public sealed class BatchesTests
{
    [Fact]
    public void EpochOrder_IsAPermutationOfItsSeedAndEpoch()
    {
        var order = EpochOrder.Shuffled(seed: 1, epoch: 0, samples: 1000);

        order.Order().ShouldBe(Enumerable.Range(0, 1000));
        EpochOrder.Shuffled(1, 0, 1000).ShouldBe(order);
        EpochOrder.Shuffled(1, 1, 1000).ShouldNotBe(order);
        EpochOrder.Shuffled(2, 0, 1000).ShouldNotBe(order);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void TrainingBatches_OfAllRanksTogether_AreTheSameForEveryWorldSize(int worldSize)
    {
        var order = EpochOrder.Shuffled(1, 0, 103);
        var expected = order.Chunk(10).Take(10).ToArray();

        var ranks = Enumerable.Range(0, worldSize)
            .Select(rank => BatchSchedule.Training(order, 10, size => Share(rank, worldSize, size), firstBatch: 0).ToArray()).ToArray();

        for (var b = 0; b < expected.Length; b++)
            ranks.SelectMany(rank => rank[b].Samples.ToArray()).ShouldBe(expected[b]);
        ranks.ShouldAllBe(rank => rank.Length == 10); // the three samples left over make no batch
    }

    [Fact]
    public void TrainingBatches_ResumedAtK_AreTheRest()
    {
        var order = EpochOrder.Shuffled(1, 0, 50);
        var all = BatchSchedule.Training(order, 10, size => ..size, 0).Select(b => b.Samples.ToArray()).ToArray();

        BatchSchedule.Training(order, 10, size => ..size, firstBatch: 3).Select(b => b.Samples.ToArray()).ShouldBe(all[3..]);
    }

    [Fact]
    public void EvaluationBatches_KeepEverySample()
    {
        var batches = BatchSchedule.Evaluation(EpochOrder.InOrder(23), 10, size => Share(1, 2, size)).ToArray();

        batches.Select(b => b.GlobalSize).ShouldBe([10, 10, 3]);
        batches.SelectMany(b => b.Samples.ToArray()).ShouldBe([5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 21, 22]);
    }

    [Fact]
    public void Prefetcher_GivesTheBatchesInOrderWithTheirLabels()
    {
        var token = TestContext.Current.CancellationToken;
        using var prefetcher = Prefetch([[2, 0], [1, 3]]);

        prefetcher.TryTake(out var first, token).ShouldBeTrue();
        using (first)
        {
            first!.Labels.ToArray().ShouldBe([12, 10]);
            first.Images.ToArray().ShouldBe([2, 0]);
            first.GlobalSize.ShouldBe(2);
        }

        prefetcher.TryTake(out var second, token).ShouldBeTrue();
        using (second)
            second!.Labels.ToArray().ShouldBe([11, 13]);
        prefetcher.TryTake(out _, token).ShouldBeFalse();
    }

    [Fact]
    public void Peek_ShowsWhatComesNext_OnceItIsReady()
    {
        var token = TestContext.Current.CancellationToken;
        using var prefetcher = Prefetch([[2, 0], [1, 3]]);
        HostBatch? next = null;
        SpinWait.SpinUntil(() => (next = prefetcher.Peek()) is not null, TimeSpan.FromSeconds(30)).ShouldBeTrue();

        prefetcher.TryTake(out var first, token).ShouldBeTrue();
        using (first)
            first.ShouldBeSameAs(next);
        prefetcher.TryTake(out var second, token).ShouldBeTrue();
        using (second)
            second.ShouldNotBeSameAs(next);
        prefetcher.Peek().ShouldBeNull();
    }

    [Fact]
    public void Prefetcher_FaultOfRendering_IsThrownWhereTheBatchIsMissed()
    {
        var token = TestContext.Current.CancellationToken;
        using var prefetcher = Prefetch([[0], [99]]);

        prefetcher.TryTake(out var first, token).ShouldBeTrue();
        first!.Dispose();
        Should.Throw<ArgumentOutOfRangeException>(() => prefetcher.TryTake(out _, token));
    }

    [Fact]
    public void Prefetcher_DisposedEarly_EndsItsRendering()
    {
        var rendered = 0;
        var prefetcher = Prefetch(Endless());
        prefetcher.TryTake(out var first, TestContext.Current.CancellationToken).ShouldBeTrue();
        first!.Dispose();

        prefetcher.Dispose(); // returns only when the rendering has ended

        rendered.ShouldBeLessThan(10);

        IEnumerable<int[]> Endless()
        {
            while (true)
            {
                rendered++;
                yield return [0];
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Prefetcher_OfAnyNumberOfThreads_GivesTheSameBatches(int threads)
    {
        var token = TestContext.Current.CancellationToken;
        var orders = Enumerable.Range(0, 50).Select(b => new[] { b % 4, (b + 1) % 4, (b + 3) % 4 }).ToArray();
        using var prefetcher = Prefetch(orders, threads);

        foreach (var order in orders)
        {
            prefetcher.TryTake(out var batch, token).ShouldBeTrue();
            using (batch)
                batch!.Images.ToArray().ShouldBe(order.Select(sample => (float)sample));
        }
    }

    [Fact]
    public void Prefetcher_HoldsNoMoreBatchesThanItsBound()
    {
        var opened = 0;
        using var prefetcher = Prefetch(Counted(), threads: 2);
        prefetcher.TryTake(out var first, TestContext.Current.CancellationToken).ShouldBeTrue();
        first!.Dispose();

        prefetcher.TryTake(out var second, TestContext.Current.CancellationToken).ShouldBeTrue();
        second!.Dispose();

        opened.ShouldBeLessThanOrEqualTo(2 + 2 + 1); // taken, ahead, and the one that waits for room

        IEnumerable<int[]> Counted()
        {
            while (true)
            {
                opened++;
                yield return [0, 1];
            }
        }
    }

    [Fact]
    public void TryTake_WhenCancelled_StopsWaiting()
    {
        using var cancellation = new CancellationTokenSource();
        using var release = new ManualResetEventSlim();
        var part = new BlockedPart(release);
        using (var prefetcher = new BatchPrefetcher(
            new BatchPass(part, Renderer(), Visit.Evaluation), [new BatchSamples(new[] { 0 }, 1)], threads: 1))
        {
            part.Reached.Wait(TestContext.Current.CancellationToken);
            cancellation.Cancel();

            Should.Throw<OperationCanceledException>(() => prefetcher.TryTake(out _, cancellation.Token));
            release.Set();
        }
    }

    /// <summary>Images of one pixel: sample i has pixel i and label 10 + i.</summary>
    private static BatchPrefetcher Prefetch(IEnumerable<int[]> batches, int threads = 1)
    {
        var part = new StoredPart(new PictureSize(1, 1), 1, new byte[] { 0, 1, 2, 3 }, new byte[] { 10, 11, 12, 13 });
        return new BatchPrefetcher(
            new BatchPass(part, Renderer(), Visit.Evaluation), batches.Select(b => new BatchSamples(b, b.Length)), threads);
    }

    private static StoredRenderer Renderer() => new(ChannelNormalization.Uniform(1, 0, 1 / 255f), 1, new Augmentation(), seed: 1);

    /// <summary>Gives nothing until it is told to.</summary>
    private sealed class BlockedPart(ManualResetEventSlim release) : ImagePart
    {
        public ManualResetEventSlim Reached { get; } = new();

        public override int Count => 1;

        public override int Label(int sample) => 0;

        public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
        {
            Reached.Set();
            release.Wait();
            buffers.Picture.Reshape(new PictureSize(1, 1), 1);
        }
    }

    private static Range Share(int rank, int worldSize, int size) => (rank * size / worldSize)..((rank + 1) * size / worldSize);
}
