using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;

namespace Cluster.Worker.Tests.Data;

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

    /// <summary>Images of one pixel: sample i has pixel i and label 10 + i.</summary>
    private static BatchPrefetcher Prefetch(IEnumerable<int[]> batches)
    {
        var definition = new DataDefinition("dots", 1, 1, 1, 20, 4, 1, 0, true, "");
        var renderer = new SampleRenderer(definition, new PixelNormalization(0, 1 / 255f), 1);
        var part = new ImagePart(new byte[] { 0, 1, 2, 3 }, new byte[] { 10, 11, 12, 13 });
        return new BatchPrefetcher(part, renderer, _ => SampleView.Plain, batches.Select(b => new BatchSamples(b, b.Length)));
    }

    private static Range Share(int rank, int worldSize, int size) => (rank * size / worldSize)..((rank + 1) * size / worldSize);
}
