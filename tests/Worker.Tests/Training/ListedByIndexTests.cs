using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Tests.Data.Indexing;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Training;

/// <summary>Ranks that list their data by what the node has kept.</summary>
public sealed class ListedByIndexTests : IDisposable
{
    private readonly IndexedFolder _data = new();
    private readonly InMemoryCluster _cluster = new(worldSize: 4);
    private readonly CollectedLogs _logs = new();

    public ListedByIndexTests()
    {
        foreach (var part in new[] { "train", "val" })
            _data.Pictures.WriteClasses(part, classes: 2, pictures: 4);
        _data.PassTick();
    }

    public void Dispose()
    {
        _cluster.Dispose();
        _data.Dispose();
    }

    [Fact]
    public async Task RankOfALaterAttempt_ReadsWhatAnEarlierOneKept()
    {
        var first = await ListAsync(rank: 0);
        var later = await ListAsync(rank: 1);

        later.Data!.Train.Count.ShouldBe(8);
        later.Fingerprint!.Values.ShouldBe(first.Fingerprint!.Values);
        _logs.All.ShouldBe(
        [
            "Read the data set's listing: 0 folders and shards by this node's index, 7 anew",
            "Read the data set's listing: 7 folders and shards by this node's index, 0 anew",
        ]);
    }

    [Fact]
    public async Task RankOfANodeWithoutAnIndex_ListsForItself()
    {
        _data.Options.MaxDataSets = 0;

        (await ListAsync(rank: 0)).Data!.Train.Count.ShouldBe(8);

        _logs.All.ShouldBeEmpty();
        Directory.Exists(_data.Folder).ShouldBeFalse();
    }

    [Fact]
    public async Task NodeThatCannotKeepAnIndex_SaysSoByOneRank()
    {
        File.WriteAllText(_data.Folder, "no folder");

        for (var rank = 0; rank < 2; rank++)
            (await ListAsync(rank)).Data!.Train.Count.ShouldBe(8);

        _logs.Warnings.ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Refusal_IsTheSameByTheIndex()
    {
        _data.Pictures.Run("val", "rm class-1/* && touch class-1/a.webp");
        _data.PassTick();

        var first = await ListAsync(rank: 0);
        var later = await ListAsync(rank: 1);

        later.Fault.ShouldBeOfType<DataSetException>().Message.ShouldBe(first.Fault!.Message);
        later.Fault.Message.ShouldContain("val/class-1 is a class of which no picture can be read");
    }

    private async Task<ListedData> ListAsync(int rank)
    {
        var launch = new TrainerLaunch
        {
            JobId = JobId.New().ToString(),
            Spec = DataAsFoundTests.AJob(),
            WorldSize = 4,
            LocalWorldSize = 2,
            Rank = rank,
            LocalRank = rank,
            DataRoot = _data.Pictures.Root,
            DataIndexFolder = _data.Folder,
        };
        using var stop = new TrainerStop(_data.Time);
        await using var context = new TrainerContext(launch, _cluster.Link(rank), stop, _logs, _data.Time);
        return ListedData.Read(context, _data.Options, TestContext.Current.CancellationToken);
    }
}
