using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;

namespace Cluster.Worker.Tests.Data.Pictures;

/// <summary>What loader threads take together.</summary>
public sealed class PictureMemoryTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Threads_ThatHoldAPartOfTheirPicturesEach_DoNotWaitForEachOther()
    {
        var memory = new PictureMemory(limitBytes: 10);
        var (first, second) = (new PictureReservation(), new PictureReservation());
        first.BeginWith(memory);
        second.BeginWith(memory);
        first.Add(6);
        second.Add(4);

        first.Add(6); // beyond the limit: one at a time may
        var waiting = Task.Run(() => second.Add(2), Cancelled);
        first.Add(1);
        first.End();
        await waiting.WaitAsync(Cancelled);

        memory.PeakBytes.ShouldBe(17);
    }

    [Fact]
    public void APicture_WaitsUntilItFits()
    {
        var memory = new PictureMemory(limitBytes: 10);
        var (first, second, third) = (new PictureReservation(), new PictureReservation(), new PictureReservation());
        foreach (var one in (PictureReservation[])[first, second, third])
            one.BeginWith(memory);
        first.Add(8);
        second.Add(9); // the one that may be beyond the limit
        var waiting = new Thread(() => third.Add(2)) { IsBackground = true };
        waiting.Start();

        SpinWait.SpinUntil(() => !waiting.IsAlive || waiting.ThreadState.HasFlag(ThreadState.WaitSleepJoin));
        waiting.IsAlive.ShouldBeTrue();
        first.End();
        second.End();
        waiting.Join();

        memory.PeakBytes.ShouldBe(17);
    }

    [Fact]
    public void LoaderThreads_StayWithinTheLimitAndOnePicture()
    {
        const int Side = 512;
        const long PictureBytes = 3L * Side * Side;
        using var folder = new PictureFolder();
        for (var i = 0; i < 48; i++)
            folder.Write($"train/red/{i}.png", Png.Of(new PictureSize(Side, Side), interlaced: i % 2 == 0, (y, x) => (byte)(x ^ y ^ i)));
        folder.Write("val/red/0.png", Png.Of(new PictureSize(8, 8), 1));
        var memory = new PictureMemory(2 * PictureBytes);
        var train = Cluster.Worker.Data.Formats.ImageFolder.Open(folder.Root, PictureFolder.Name, classes: 1,
            new Decoding(3, Memory: memory)).Train;
        var renderer = new CroppingRenderer(
            ChannelNormalization.Uniform(3, 0, 1), Side, inputSize: Side, new() { Crop = "center" }, evaluationViews: 1, seed: 1);
        var batches = Enumerable.Range(0, 3).Select(i => new BatchSamples(Enumerable.Range(16 * i, 16).ToArray(), 16));

        using var prefetcher = new BatchPrefetcher(new BatchPass(train, renderer, Visit.Evaluation), batches, threads: 16);
        var taken = 0;
        for (; prefetcher.TryTake(out var batch, Cancelled); taken++)
            batch.Dispose();

        taken.ShouldBe(3);
        // Beside the picture a thread has the file, which is smaller.
        memory.PeakBytes.ShouldBeInRange(PictureBytes, (2 * PictureBytes) + (2 * PictureBytes));
    }
}
