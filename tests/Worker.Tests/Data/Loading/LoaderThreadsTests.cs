using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Loading;

public sealed class LoaderThreadsTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);

    [Theory]
    [InlineData(0.5, true)]
    [InlineData(LoaderThreads.WaitWorthAThread, false)]
    [InlineData(0, false)]
    public void OneIsAdded_WhereTheWaitIsWorthIt(double share, bool added)
    {
        var threads = new LoaderThreads(first: 1, most: 4);

        Added(threads, LoaderThreads.Batches - 1, share * Step).ShouldBe(0);
        Added(threads, 1, share * Step).ShouldBe(added ? 1 : 0);

        threads.Count.ShouldBe(added ? 2 : 1);
    }

    [Fact]
    public void NoneIsAdded_ForTheWaitOfASingleBatch_NorForWhatWasBefore()
    {
        var threads = new LoaderThreads(first: 1, most: 4);

        Added(threads, 1, LoaderThreads.WaitWorthAThread * LoaderThreads.Batches * Step).ShouldBe(0);
        Added(threads, LoaderThreads.Batches - 1, TimeSpan.Zero).ShouldBe(0);
        Added(threads, 1, Step / 2).ShouldBe(0);
        Added(threads, LoaderThreads.Batches - 1, Step / 2).ShouldBe(1);
    }

    [Fact]
    public void ThereAreNeverMoreThanTheMost()
    {
        var threads = new LoaderThreads(first: 1, most: 3);

        Added(threads, 10 * LoaderThreads.Batches, Step).ShouldBe(2);

        threads.Count.ShouldBe(3);
    }

    /// <summary>By a clock that goes on with each look, so that half of the time is a wait; the next pass begins with as many.</summary>
    [Fact]
    public void Prefetcher_ThatIsWaitedFor_StartsOneMore_AndGivesTheSameBatches()
    {
        var threads = new LoaderThreads(first: 1, most: 2);
        var batches = Enumerable.Range(0, 2 * LoaderThreads.Batches).Select(i => i % 4).ToArray();

        var (taken, running) = TakeAll(threads, batches);
        taken.ShouldBe(batches);
        running.ShouldBe(2);

        TakeAll(threads, [3]).Running.ShouldBe(2);
    }

    private static (int[] Taken, int Running) TakeAll(LoaderThreads threads, int[] batches)
    {
        var part = new StoredPart(new PictureSize(1, 1), 1, new byte[] { 0, 1, 2, 3 }, new byte[] { 0, 1, 2, 3 });
        var renderer = new StoredRenderer(ChannelNormalization.Uniform(1, 0, 1 / 255f), 1, new Augmentation(), seed: 1);
        using var prefetcher = new BatchPrefetcher(
            new BatchPass(part, renderer, Visit.Evaluation), batches.Select(sample => new BatchSamples(new[] { sample }, 1)), threads,
            new GoingOn());
        var taken = new List<int>();
        while (prefetcher.TryTake(out var batch, TestContext.Current.CancellationToken))
        {
            using (batch)
                taken.Add((int)batch.Labels[0]);
        }

        return ([.. taken], prefetcher.Threads);
    }

    private static int Added(LoaderThreads threads, int batches, TimeSpan wait) =>
        Enumerable.Range(0, batches).Count(_ => threads.AddsOne(wait, Step));

    private sealed class GoingOn : TimeProvider
    {
        private long _looks;

        public override long GetTimestamp() => Interlocked.Increment(ref _looks) * Stopwatch.Frequency;
    }
}
