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
