using System.Diagnostics;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;
using Cluster.Worker.Tests.Data.Pictures;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Worker.Tests.Data.Indexing;

/// <summary>Ranks of one node that want the same data set at the same time.</summary>
public sealed class SharedListingTests : IDisposable
{
    private readonly IndexedFolder _data = new();
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch); // nothing on the disk is as old: nothing settles

    public SharedListingTests()
    {
        _data.Time = _time;
        Directory.CreateDirectory(_data.Folder);
    }

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => _data.Dispose();

    [Fact]
    public async Task RankThatWaits_TakesOverWhatAnotherListed_AndTellsHowFarThatOneIs()
    {
        var notes = new DataNotes();
        using var index = _data.Open(notes);
        var other = new Waiting(_data);

        var listed = Get(index, () =>
        {
            Within(other.Start(mustNotRead: true));
            _time.Advance(TimeSpan.FromSeconds(2));
            notes.See(5);
            SpinUntil(() => other.Notes.Seen == 5);
            return "listed";
        });
        index.Complete();

        listed.ShouldBe("listed");
        (await other.Listed).ShouldBe(("listed", 0));
        Get(index, () => throw new InvalidOperationException("it has been listed")).ShouldBe("listed");
    }

    [Fact]
    public void RankThatAsksLater_BelievesNothingThatHasNotSettled()
    {
        using (var index = _data.Open())
        {
            Get(index, () => "listed").ShouldBe("listed");
            index.Complete();
        }

        _time.Advance(TimeSpan.FromTicks(1));
        using var later = _data.Open();
        Get(later, () => "listed anew").ShouldBe("listed anew");
    }

    [Fact]
    public async Task RanksThatWaitForOneThatIsKilled_HaveOneOfThemListForAll()
    {
        using var lister = HoldInAProcess(entries: 7);
        var (a, b, reads, isKilled) = (new Waiting(_data), new Waiting(_data), 0, false);
        foreach (var rank in new[] { a, b })
        {
            _ = rank.Start(() =>
            {
                Volatile.Read(ref isKilled).ShouldBeTrue();
                return $"listed {Interlocked.Increment(ref reads)}";
            });
        }

        SpinUntil(() => a.Notes.Seen == 7 && b.Notes.Seen == 7); // both wait
        Volatile.Write(ref isKilled, true);
        lister.Kill();

        (await a.Listed).Found.ShouldBe("listed 1");
        (await b.Listed).Found.ShouldBe("listed 1");
    }

    [Fact]
    public async Task RankThatWaitsForOneThatGetsNoFurther_ListsForItself_AndSaysSo()
    {
        using var lister = HoldInAProcess(entries: 7);
        var rank = new Waiting(_data);
        _ = rank.Start(() => "listed here");
        SpinUntil(() => rank.Notes.Seen == 7);

        while (!rank.Listed.IsCompleted)
        {
            _time.Advance(_data.Options.Patience);
            await Task.Yield();
        }

        (await rank.Listed).ShouldBe(("listed here", 1));
        _data.Logs.Warnings.ShouldBe(
            ["Another rank of this node that lists the data set has got no further for 30 s (DataIndex__Patience); listing it here too"]);
    }

    [Fact]
    public async Task RankThatWaits_EndsWithItsAttempt()
    {
        using var lister = HoldInAProcess(entries: 7);
        using var ends = new CancellationTokenSource();
        var rank = new Waiting(_data, ends.Token);
        _ = rank.Start(mustNotRead: true);
        SpinUntil(() => rank.Notes.Seen == 7);

        await ends.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(() => rank.Listed);
    }

    [Fact]
    public async Task RankWhoseListingFails_LeavesTheOthersWhatItHasRead()
    {
        var other = new Waiting(_data);
        using (var index = _data.Open())
        {
            Get(index, () =>
            {
                Within(other.Start(mustNotRead: true));
                return "listed";
            });
            Should.Throw<DataSetException>(
                () => index.Get<string>("/elsewhere", () => throw new DataSetException("no folder"), Write, Decode));
        }

        (await other.Listed).ShouldBe(("listed", 0));
    }

    [Fact]
    public async Task RanksOfANode_TakeDigestsOnce()
    {
        using var first = _data.Open();
        using var second = _data.Open();
        foreach (var index in new[] { first, second })
        {
            Get(index, () => "listed");
            index.Complete();
        }

        Task<long[]>? digests = null;
        first.Digests(() =>
        {
            digests = Task.Factory.StartNew(
                () => second.Digests(() => throw new InvalidOperationException("they have been taken")),
                Cancelled, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            return [1, -2, 3];
        }).ShouldBe([1, -2, 3]);

        (await digests!).ShouldBe([1, -2, 3]);
        _time.Advance(TimeSpan.FromTicks(1));
        using var later = _data.Open();
        later.Digests(() => [4]).ShouldBe([4]);
    }

    [Fact]
    public void DigestsOfWhatThisRankHasReadOtherwise_AreNotTakenOver()
    {
        using var one = _data.Open();
        Get(one, () => "before");
        one.Complete();
        using var other = _data.Open();
        Get(other, () => "unused").ShouldBe("before");
        _time.Advance(TimeSpan.FromTicks(1));
        using (var later = _data.Open())
        {
            Get(later, () => "after").ShouldBe("after");
            later.Complete();
            later.Digests(() => [2]).ShouldBe([2]);
        }

        other.Digests(() => [1]).ShouldBe([1]);
    }

    /// <summary>By pictures that change in between: who asked before takes over what was measured, who asks later measures anew.</summary>
    [Fact]
    public void RanksOfANode_MeasureTheNormalizationOnce()
    {
        _data.Pictures.WriteClasses("train", classes: 2, pictures: 3);
        _data.Pictures.WriteClasses("val", classes: 2, pictures: 1);
        var (one, other, withOtherPixels) = (new DataNotes(), new DataNotes(), new DataNotes());
        using var first = _data.Open(one);
        using var second = _data.Open(other);
        using var third = _data.Open(withOtherPixels);
        var measured = Normalization(first, one);

        foreach (var picture in Directory.GetFiles(_data.Pictures.Path("train"), "*", SearchOption.AllDirectories))
            File.WriteAllBytes(picture, Png.Of(new PictureSize(12, 16), 200));

        var takenOver = Normalization(second, other);
        takenOver.Mean.ShouldBe(measured.Mean);
        takenOver.Deviation.ShouldBe(measured.Deviation);
        var grey = Normalization(third, withOtherPixels, channels: 1);
        grey.Mean.ShouldHaveSingleItem().ShouldNotBe(measured.Mean[0]);
        _time.Advance(TimeSpan.FromTicks(1));
        var notes = new DataNotes();
        using var later = _data.Open(notes);
        Normalization(later, notes).Mean.ShouldAllBe(mean => mean == grey.Mean[0]);
    }

    private (float[] Mean, float[] Deviation) Normalization(DataIndex index, DataNotes notes, int channels = 3)
    {
        var spec = new DataSpec
        {
            Name = DataCatalog.ImageFolder,
            Folder = PictureFolder.Name,
            Classes = 2,
            Channels = channels,
            ImageSize = 8,
        };
        var (mean, deviation) = DataSetReader.Read(spec, _data.Pictures.Root, notes, index).Normalization;
        return ([.. mean], [.. deviation]);
    }

    private string Get(DataIndex index, Func<string> read) => index.Get(_data.Pictures.Root, read, Write, Decode);

    private static void Write(BinaryWriter writer, string value) => writer.Write(value);

    private static string Decode(BinaryReader reader) => reader.ReadString();

    private static void SpinUntil(Func<bool> isSo)
    {
        while (!isSo())
        {
            Cancelled.ThrowIfCancellationRequested();
            Thread.Yield();
        }
    }

    private static void Within(Task task) => task.Wait(Cancelled);

    /// <summary>A process that holds the lock, as a rank does that has listed so many entries.</summary>
    private Lister HoldInAProcess(int entries) =>
        new($"exec 9>'{_data.Files.Lock}'; flock 9; truncate -s {entries} '{_data.Files.Lock}'; echo held; exec sleep 1000");

    private sealed class Lister : IDisposable
    {
        private readonly Process _process;

        public Lister(string script)
        {
            _process = Process.Start(new ProcessStartInfo("/bin/bash", ["-ec", script]) { RedirectStandardOutput = true })!;
            _process.StandardOutput.ReadLine().ShouldBe("held");
        }

        public void Kill() => _process.Kill();

        public void Dispose()
        {
            _process.Kill();
            _process.Dispose();
        }
    }

    /// <summary>A rank on a thread of its own.</summary>
    private sealed class Waiting(IndexedFolder data, CancellationToken? cancellationToken = null)
    {
        private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<(string Found, int Fresh)> _listed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public DataNotes Notes { get; } = new();

        public Task<(string Found, int Fresh)> Listed => _listed.Task;

        public Task Start(bool mustNotRead) =>
            Start(() => mustNotRead ? throw new InvalidOperationException("another rank lists") : "");

        /// <returns>When it has asked.</returns>
        public Task Start(Func<string> read)
        {
            new Thread(() =>
            {
                try
                {
                    using var index = data.Open(Notes, cancellationToken: cancellationToken ?? Cancelled);
                    _asked.SetResult();
                    var found = index.Get(data.Pictures.Root, read, Write, Decode);
                    index.Complete();
                    _listed.SetResult((found, index.Fresh));
                }
                catch (Exception e)
                {
                    _listed.SetException(e);
                }
            }).Start();
            return _asked.Task;
        }
    }
}
