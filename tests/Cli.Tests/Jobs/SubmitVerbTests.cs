using Cluster.Cli.Rendering;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Cli.Tests.Jobs;

public sealed class SubmitVerbTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Submit_OfASoundFile_SendsItsTextAndPrintsTheJob()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = Builders.Yaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-")).ShouldBe(ExitCode.Done);

        run.Out.ShouldBe($"job {Builders.JobId} lenet5: queued (waits for 2 devices)\n");
        run.Error.ShouldBeEmpty();
        var request = cluster.Submitted.ShouldHaveSingleItem();
        request.Yaml.ShouldBe(Builders.Yaml);
        Guid.TryParse(request.RequestId, out _).ShouldBeTrue();
        request.WaitForCapacity.ShouldBeFalse();
    }

    [Fact]
    public async Task Submit_TwiceWithoutARequestId_MakesAnotherEachTime()
    {
        await using var cluster = await FakeCluster.StartAsync();

        await new CliRun(cluster) { In = Builders.Yaml }.RunAsync(Cancellation, "job", "submit", "-");
        await new CliRun(cluster) { In = Builders.Yaml }.RunAsync(Cancellation, "job", "submit", "-");

        cluster.Submitted[0].RequestId.ShouldNotBe(cluster.Submitted[1].RequestId);
    }

    [Fact]
    public async Task Submit_WithItsOptions_PassesThemOn()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = Builders.Yaml };

        await run.RunAsync(
            Cancellation, "job", "submit", "-", "--wait-for-capacity", "--request-id", "0F3C9A1B-77E2-4C01-9D8E-0123456789AB");

        cluster.Submitted.ShouldHaveSingleItem().RequestId.ShouldBe(Builders.JobId);
        cluster.Submitted[0].WaitForCapacity.ShouldBeTrue();
    }

    [Fact]
    public async Task Submit_WithSettings_SendsTheFileWithThemInTheirPlaces()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (run, wrong) = (new CliRun(cluster) { In = Builders.Yaml }, new CliRun(cluster) { In = Builders.Yaml });

        (await run.RunAsync(
            Cancellation, "job", "submit", "-", "--set", "hyperparameters.epochs=3", "--set", "seed=7")).ShouldBe(ExitCode.Done);
        (await wrong.RunAsync(Cancellation, "job", "submit", "-", "--set", "sede=7")).ShouldBe(ExitCode.Usage);

        JobFile.Parse(cluster.Submitted.ShouldHaveSingleItem().Yaml)
            .ShouldBe(JobFile.Parse(Builders.Yaml + "hyperparameters: {epochs: 3}\nseed: 7\n"));
        wrong.Error.ShouldBe("sede is 7 but no job file has such a key; did you mean seed?\n");
    }

    [Fact]
    public async Task DryRun_PrintsTheCompleteFile_AndInItsCommentsWhatWouldBecomeOfTheJob()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var now = new CliRun(cluster) { In = Builders.Yaml };
        var later = new CliRun(cluster) { In = Builders.Yaml };
        cluster.Preview = _ => new StartPreview
        {
            Placement = { new DevicePlacement { NodeName = "worker-1", Device = "cpu:0" } },
            Likely = Builders.At(0),
        };
        (await now.RunAsync(Cancellation, "job", "submit", "-", "--dry-run")).ShouldBe(ExitCode.Done);
        cluster.Preview = _ => new StartPreview
        {
            Reason = "needs 1 cpu device",
            Position = 3,
            Likely = Builders.At(60),
            Late = Builders.At(90),
            Sooner = { "with 1 device instead of 2" },
        };
        (await later.RunAsync(Cancellation, "job", "submit", "-", "--dry-run", "--set", "seed=7")).ShouldBe(ExitCode.Done);

        cluster.Submitted.ShouldBeEmpty();
        now.Out.ShouldStartWith(
            "# takes     1 device, about 1.5 GiB of memory a rank\n# starts    now, on worker-1 cpu:0\nname: lenet5\n");
        JobFile.Parse(now.Out).ShouldBe(JobFile.Parse(Builders.Yaml));
        later.Out.ShouldContain($"""
            # starts    about {Words.Clock(Builders.At(60))}, with nine chances in ten before {Words.Clock(Builders.At(90))}
            # position  3
            # waits     needs 1 cpu device
            # sooner    with 1 device instead of 2

            """);
        JobFile.Parse(later.Out).Seed.ShouldBe(7UL);
    }

    [Fact]
    public async Task DryRun_OfAnExperiment_TellsOfEachOfItsJobs()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = Builders.ExperimentYaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-", "--dry-run")).ShouldBe(ExitCode.Done);

        cluster.SubmittedExperiments.ShouldBeEmpty();
        run.Out.Split("---\n", StringSplitOptions.RemoveEmptyEntries).Select(job => job.Split('\n')[0])
            .ShouldBe(["# variant   activation=relu", "# variant   activation=tanh"]);
        run.Out.ShouldContain("# starts    later; when is not known\n");
    }

    [Fact]
    public async Task DryRun_GoesWithNothingThatIsAboutASubmittedJob()
    {
        var run = new CliRun { In = Builders.Yaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-", "--dry-run", "-f")).ShouldBe(ExitCode.Usage);

        run.Error.ShouldStartWith("--dry-run submits nothing, so that it goes with none of --follow");
    }

    [Fact]
    public async Task Submit_AsJson_PrintsTheJobAsOneDocument()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = Builders.Yaml };

        await run.RunAsync(Cancellation, "job", "submit", "-", "--json");

        JsonParser.Default.Parse<Job>(run.Out).ShouldBe(Builders.AJob());
    }

    [Theory]
    [InlineData(
        "model: lenet6\ndata: fashion-mnist\n", "line 1: model is lenet6 but no model of that name is known; did you mean lenet5?\n")]
    [InlineData(Builders.Yaml + "resources: { devices: 0 }\n",
        "line 3: resources.devices is 0 but must be a whole number from 1 to 65536; use 1 or more\n")]
    [InlineData(Builders.Yaml + "sed: 3\nseed: -1\n", "line 3: sed is 3 but no such key exists; did you mean seed?\n"
        + "line 4: seed is -1 but must be a whole number of at most 64 bits and not negative; write a number such as 1\n")]
    public async Task Submit_OfAWrongFile_SaysSoAndAsksNobody(string yaml, string error)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = yaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-")).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe(error);
        run.Out.ShouldBeEmpty();
        cluster.Submitted.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(StatusCode.InvalidArgument, 2, "devices is 12 but the largest node has 8; lower it\n")]
    [InlineData(StatusCode.ResourceExhausted, 2, "devices is 12 but the largest node has 8; lower it\n")]
    [InlineData(StatusCode.FailedPrecondition, 5, "devices is 12 but the largest node has 8; lower it\n")]
    [InlineData(StatusCode.PermissionDenied, 4, "the token does not allow this: devices is 12 but the largest node has 8; lower it\n")]
    [InlineData(
        StatusCode.Internal, 1, "the scheduler failed: devices is 12 but the largest node has 8; lower it (Internal); its log says more\n")]
    public async Task Submit_RefusedByTheScheduler_SaysWhyInOneLine(StatusCode status, int code, string error)
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Submit = _ => throw new RpcException(new Status(status, "devices is 12 but the largest node has 8;\nlower it"));
        var run = new CliRun(cluster) { In = Builders.Yaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-")).ShouldBe(code);

        run.Error.ShouldBe(error);
    }

    [Fact]
    public async Task Submit_AfterADeadline_TellsHowToTryAgainWithoutASecondJob()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Submit = _ => throw new RpcException(new Status(StatusCode.DeadlineExceeded, "too late"));
        var run = new CliRun(cluster) { In = Builders.Yaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-", "--request-id", Builders.JobId)).ShouldBe(ExitCode.Unreachable);

        run.Error.ShouldStartWith(
            $"the job may have been queued; to try again without making a second one, add --request-id {Builders.JobId}\n");
    }

    [Fact]
    public async Task Submit_ThenFollow_EndsWithTheJobsEnd()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = (_, stream, cancellation) =>
            stream.WriteAsync(
                new WatchJobResponse { Job = Builders.AFinishedJob(), Event = Builders.AnEvent(4, JobState.Succeeded) }, cancellation);
        var run = new CliRun(cluster) { In = Builders.Yaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-", "-f")).ShouldBe(ExitCode.Done);

        cluster.Watched.ShouldHaveSingleItem().JobId.ShouldBe(Builders.JobId);
        run.Out.ShouldEndWith("lenet5 succeeded, test accuracy 89.3 %, in 1m 10s\n");
    }

    [Fact]
    public async Task Submit_OfAFileOnDisk_ReadsIt()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "\uFEFF" + Builders.Yaml, Cancellation);
            (await new CliRun(cluster).RunAsync(Cancellation, "job", "submit", file)).ShouldBe(ExitCode.Done);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Submit_OfAFileThatCannotBeRead_SaysWhy()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var latin = Path.Combine(folder.FullName, "latin.yaml");
            await File.WriteAllBytesAsync(latin, [.. "# "u8, 0xE4], Cancellation);
            var large = Path.Combine(folder.FullName, "large.yaml");
            await File.WriteAllBytesAsync(large, new byte[10_000_000], Cancellation);

            await FailsAsync("nowhere.yaml", "FILE is nowhere.yaml but no such file exists; examples/ holds some to begin with\n");
            await FailsAsync(latin, $"FILE is {latin} but holds no UTF-8 text; save it as UTF-8\n");
            await FailsAsync(large, "job file is 10000000 bytes long but must be at most 1048576; "
                + "name models and data by their catalogue names instead of writing them out\n");
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static async Task FailsAsync(string file, string error)
        {
            var run = new CliRun();
            (await run.RunAsync(Cancellation, "job", "submit", file)).ShouldBe(ExitCode.Usage);
            run.Error.ShouldBe(error);
        }
    }
}
