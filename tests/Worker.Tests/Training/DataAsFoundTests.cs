using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data.Packing;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Training;

/// <summary>Jobs on data as they are found: what ends them at once, and what they go on with and say.</summary>
public sealed class DataAsFoundTests : IDisposable
{
    private static readonly byte[] APicture = Png.Of(new PictureSize(40, 50), 5);

    private readonly PictureFolder _folder = new();
    private readonly CollectedLogs _logs = new();

    public DataAsFoundTests()
    {
        _folder.WriteClasses("train", classes: 2, pictures: 4);
        _folder.WriteClasses("val", classes: 2, pictures: 1);
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("train", "mkdir class-2")]
    [InlineData("train", "rm class-1/* && touch class-1/a.webp")]
    [InlineData("val", "rm class-1/* && touch class-1/a.webp")]
    [InlineData("val", "mkdir unknown")]
    [InlineData("val", "rm -r *")]
    [InlineData(".", "mkdir -p test/a test/b")]
    [InlineData(".", "mkdir -p test/class-0/deeper")]
    [InlineData(".", "ln -s gone test")]
    [InlineData(".", "rm -r val && mkfifo val")]
    [InlineData("..", "rm -r my-photos && touch my-photos")]
    [InlineData("..", "rm -r my-photos && ln -s my-photos my-photos")]
    [InlineData("..", "rm -r my-photos && ln -s / my-photos")]
    public async Task FaultOfLayout_WhateverThePart_EndsTheJobAtTheFirstAttempt(string where, string command)
    {
        _folder.Run(where, command);

        var outcomes = await TestRuns.RunAsync(new InMemoryCluster(2), AJob(), worldSize: 2, dataRoot: _folder.Root);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Misconfigured);
        outcomes[0].Message.ShouldContain(_folder.Root);
    }

    [Theory]
    [InlineData("gzip train-0.tar")]
    [InlineData("gzip -c train-0.tar > x && mv x train-0.tar")]
    [InlineData("truncate -s 1536 val-0.tar")]
    [InlineData("echo no tar at all > test-0.tar")]
    public async Task FaultOfAShard_EndsTheJobAtTheFirstAttempt(string command)
    {
        foreach (var part in new[] { "train", "val" })
        {
            _folder.WriteTar($"{part}-0.tar", [.. Enumerable.Range(0, 8).SelectMany<int, (string, byte[])>(
                i => [($"{i}.png", APicture), ($"{i}.cls", [(byte)('0' + (i % 2))])])]);
        }

        _folder.Run("", command);

        var job = AJob(spec => spec.Data.Name = DataCatalog.TarShards);
        var outcome = (await TestRuns.RunAsync(new InMemoryCluster(1), job, dataRoot: _folder.Root)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Misconfigured, outcome.Message);
    }

    [Fact]
    public async Task PackedPictures_AreTrainedOn_ByRanksOfNodesOfTheirOwn()
    {
        var order = new PackOrder(_folder.Path("").TrimEnd('/'), Path.Combine(_folder.Root, "packed"), Side: 32, ShardMib: 1, Channels: 3);
        new PicturePacker(order, TextWriter.Null).Run();
        using var other = new PictureFolder();
        _folder.Run("..", $"cp -r packed {other.Root}");
        var job = AJob(spec => (spec.Data.Name, spec.Data.Folder) = (DataCatalog.RawShards, "packed"));

        var outcomes = await TestRuns.RunAsync(new InMemoryCluster(2), job, worldSize: 2, dataRoots: [_folder.Root, other.Root]);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
    }

    [Fact]
    public async Task DataThatThisNodeLacks_LeavesTheJobItsOtherAttempts()
    {
        _folder.Run("..", "rm -r my-photos");

        (await Should.ThrowAsync<Cluster.Worker.Data.DataUnavailableException>(
            () => TestRuns.RunAsync(new InMemoryCluster(1), AJob(), dataRoot: _folder.Root)))
            .Message.ShouldBe($"{_folder.Path("").TrimEnd('/')} does not exist; data.folder names a folder in the node's data root");
    }

    [Theory]
    [InlineData("rm train/class-0/1.png", "train has 8 samples on {0} and 7 on {1}; train's class class-0 has 4 on {0} and 3 on {1}")]
    [InlineData("mv train/class-0/1.png train/class-1/9.png",
        "train's class class-0 has 4 on {0} and 3 on {1}; train's class class-1 has 4 on {0} and 5 on {1}; the names")]
    [InlineData("mv train/class-0/1.png train/class-0/9.png", ": the names of train's samples differ. ")]
    [InlineData("echo >> val/class-1/0.png", ": the sizes of val's samples differ. ")]
    [InlineData("mv train/class-0 train/class-00; mv val/class-0 val/class-00", "the names of train's samples differ; the names of val's")]
    [InlineData("mkdir -p test && cp -r val/* test", "test has 0 samples on {0} and 2 on {1}")]
    [InlineData("cp train/class-0/1.png train/class-0/2.png", "the normalization measured from the pictures differs")]
    [InlineData("rm -r train/class-1 val/class-1", "data.classes is 2 but ")]
    [InlineData("rm -r val/class-1/*", "val/class-1 is a class of which no picture can be read")]
    public async Task CopiesThatDifferBetweenNodes_EndTheJobAtTheFirstAttempt_AndAreNamed(string command, string said)
    {
        using var other = new PictureFolder();
        other.WriteClasses("train", classes: 2, pictures: 4);
        other.WriteClasses("val", classes: 2, pictures: 1);
        other.Run("", command);

        var outcomes = await TestRuns.RunAsync(new InMemoryCluster(2), AJob(), worldSize: 2, dataRoots: [_folder.Root, other.Root]);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Misconfigured);
        foreach (var outcome in outcomes)
            outcome.Message.ShouldContain(string.Format(said, $"node of {_folder.Root}", $"node of {other.Root}"));
        outcomes[0].Message.ShouldContain($"node of {other.Root}");
    }

    [Fact]
    public async Task CopiesThatAreEqual_OnNodesOfTheirOwn_AreTrainedOn()
    {
        using var other = new PictureFolder();
        other.WriteClasses("train", classes: 2, pictures: 4);
        other.WriteClasses("val", classes: 2, pictures: 1);

        var outcomes = await TestRuns.RunAsync(new InMemoryCluster(2), AJob(), worldSize: 2, dataRoots: [_folder.Root, other.Root]);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
    }

    [Fact]
    public async Task DataThatOneNodeLacks_LeavesTheJobItsOtherAttempts()
    {
        var lacking = $"/nonexistent/{Guid.NewGuid()}";

        var thrown = await Should.ThrowAsync<Cluster.Worker.Data.DataUnavailableException>(
            () => TestRuns.RunAsync(new InMemoryCluster(2), AJob(), worldSize: 2, dataRoots: [_folder.Root, lacking]));

        thrown.Message.ShouldStartWith($"node node of {lacking}: {lacking}/my-photos does not exist");
    }

    [Fact]
    public async Task TestPartWithoutLabels_LeavesTheJobWithoutTestFiguresAndIsSaid()
    {
        _folder.Write("test/0.png", APicture);
        var cluster = new InMemoryCluster(2);

        var outcomes = await TestRuns.RunAsync(cluster, AJob(), worldSize: 2, dataRoot: _folder.Root, logs: _logs);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        cluster.Series(MetricNames.TestAccuracy).ShouldBeEmpty();
        cluster.Series(MetricNames.ValidationAccuracy).ShouldNotBeEmpty();
        // rank 0 says it
        _logs.Warnings.ShouldHaveSingleItem()
            .ShouldContain("test has no class folders, so its pictures have no labels: there are no test figures");
    }

    [Theory]
    [InlineData(0, TrainerExit.Misconfigured)]
    [InlineData(1, TrainerExit.Done)]
    public async Task EntryThatCannotBeOpened_IsUnderTheLimitOnBrokenPictures(int allowed, int exitCode)
    {
        _folder.Run("train/class-0", "rm 1.png && touch $'caf\\xe9.png'");

        var outcome = (await TestRuns.RunAsync(
            new InMemoryCluster(1), AJob(spec => spec.Data.MaxBrokenImages = allowed), dataRoot: _folder.Root, logs: _logs)).Single();

        outcome.ExitCode.ShouldBe(exitCode, outcome.Message);
        _logs.Warnings.Append(outcome.Message)
            .ShouldContain(said => said.StartsWith($"{_folder.Path("train/class-0/caf\\xE9.png")} has a name that is not UTF-8"));
    }

    internal static JobSpec AJob(Action<JobSpec>? change = null) => TestRuns.AJob(spec =>
    {
        spec.Model.Options["classes"] = TestRuns.Whole(2);
        spec.Model.Options["channels"] = TestRuns.Whole(3);
        spec.Data = new DataSpec
        {
            Name = DataCatalog.ImageFolder,
            Folder = PictureFolder.Name,
            Classes = 2,
            Channels = 3,
            ImageSize = 32,
            Augmentation = new Augmentation { Crop = DataCatalog.CenterCrop },
        };
        spec.Hyperparameters.GlobalBatchSize = 4;
        spec.Hyperparameters.Epochs = 1;
        change?.Invoke(spec);
    });
}
