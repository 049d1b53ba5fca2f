using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
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
    public async Task DataThatThisNodeLacks_LeavesTheJobItsOtherAttempts()
    {
        _folder.Run("..", "rm -r my-photos");

        (await Should.ThrowAsync<Cluster.Worker.Data.DataUnavailableException>(() => TestRuns.RunAsync(new InMemoryCluster(1), AJob(), dataRoot: _folder.Root)))
            .Message.ShouldBe($"{_folder.Path("").TrimEnd('/')} does not exist; data.folder names a folder in the node's data root");
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
        _logs.Warnings.ShouldHaveSingleItem().ShouldContain("test has no class folders, so its pictures have no labels: there are no test figures"); // rank 0 says it
    }

    [Theory]
    [InlineData(0, TrainerExit.Misconfigured)]
    [InlineData(1, TrainerExit.Done)]
    public async Task EntryThatCannotBeOpened_IsUnderTheLimitOnBrokenPictures(int allowed, int exitCode)
    {
        _folder.Run("train/class-0", "rm 1.png && touch $'caf\\xe9.png'");

        var outcome = (await TestRuns.RunAsync(new InMemoryCluster(1), AJob(spec => spec.Data.MaxBrokenImages = allowed), dataRoot: _folder.Root, logs: _logs)).Single();

        outcome.ExitCode.ShouldBe(exitCode, outcome.Message);
        _logs.Warnings.Append(outcome.Message).ShouldContain(said => said.StartsWith($"{_folder.Path("train/class-0/caf\\xE9.png")} has a name that is not UTF-8"));
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
