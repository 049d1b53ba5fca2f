using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Cli.Tests.Jobs;

public sealed class WatchVerbTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(JobState.Succeeded, ExitCode.Done)]
    [InlineData(JobState.Failed, ExitCode.Failed)]
    [InlineData(JobState.Cancelled, ExitCode.Failed)]
    public async Task Watch_InAPipe_PrintsEventsAndEachEpochOnce(JobState end, int code)
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = Sends(
            new() { Job = Builders.AJob(), Event = Builders.AnEvent(1, JobState.Queued, "submitted") },
            new() { Job = Builders.ARunningJob(epoch: 1, step: 10) },
            new() { Job = Builders.ARunningJob(epoch: 1, step: 20) },
            new() { Job = Builders.ARunningJob(epoch: 2, step: 440) },
            new() { Job = Builders.AFinishedJob(end), Event = Builders.AnEvent(2, end) });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(code);

        var word = end.ToString().ToLowerInvariant();
        run.Out.ShouldBe($"""
            {Clock(-99)}  queued (submitted)
            {Clock(0)}  running  epoch 1/5, step 10/2150, loss 0.4313, validation 86.0 %, 8,512 images/s
            {Clock(0)}  running  epoch 2/5, step 440/2150, loss 0.4313, validation 86.0 %, 8,512 images/s
            {Clock(-98)}  {word}
            lenet5 {word}, test accuracy 89.3 %, in 1m 10s

            """);
    }

    [Fact]
    public async Task Watch_AsJson_PrintsOneMessageALine()
    {
        await using var cluster = await FakeCluster.StartAsync();
        WatchJobResponse[] messages = [new() { Job = Builders.ARunningJob() },
            new() { Job = Builders.AFinishedJob(), Event = Builders.AnEvent(2, JobState.Succeeded) }];
        cluster.Watch = Sends(messages);
        var run = new CliRun(cluster);

        await run.RunAsync(Cancellation, "job", "watch", "0f3c", "--json");

        run.Out.TrimEnd().Split('\n').Select(JsonParser.Default.Parse<WatchJobResponse>).ShouldBe(messages);
    }

    [Fact]
    public async Task Watch_OnATerminal_DrawsABar()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = Sends(new() { Job = Builders.ARunningJob(step: 1075) }, new() { Job = Builders.AFinishedJob() });
        var run = new CliRun(cluster) { IsTerminal = true };

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(ExitCode.Done);

        run.Out.ShouldContain(new string('━', 20));
        run.Out.ShouldContain("50 %");
        run.Out.ShouldContain("100 %");
        run.Out.ShouldContain("worker-1 cpu:0, worker-2 cpu:0");
        run.Out.ShouldContain("epoch 2/5, step 1075/2150, loss 0.4313");
    }

    [Fact]
    public async Task Watch_WhenTheSchedulerRestarts_GoesOnBehindTheLastEvent()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = async (request, stream, cancellation) =>
        {
            if (cluster.Watched.Count == 1)
            {
                await stream.WriteAsync(
                    new WatchJobResponse { Job = Builders.ARunningJob(), Event = Builders.AnEvent(7, JobState.Running) }, cancellation);
                throw new RpcException(new Status(StatusCode.Unavailable, "shutting down"));
            }

            await stream.WriteAsync(
                new WatchJobResponse { Job = Builders.AFinishedJob(), Event = Builders.AnEvent(8, JobState.Succeeded) }, cancellation);
        };
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(ExitCode.Done);

        cluster.Watched.Select(request => (request.JobId, request.AfterSequence)).ShouldBe([("0f3c", 0), (Builders.JobId, 7)]);
        run.Error.ShouldBe("the scheduler went away; the job goes on, waiting for it to come back\nthe scheduler is back\n");
    }

    /// <summary>Each event comes with the job as it is now: over, from the first one on.</summary>
    [Fact]
    public async Task Watch_OfAJobThatIsOver_PrintsEveryEvent()
    {
        await using var cluster = await FakeCluster.StartAsync();
        JobState[] states = [JobState.Queued, JobState.Starting, JobState.Running, JobState.Succeeded];
        var events = states.Select((state, i) => Builders.AnEvent(i + 1, state));
        cluster.Watch = Sends([.. events.Select(happened => new WatchJobResponse { Job = Builders.AFinishedJob(), Event = happened })]);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(ExitCode.Done);

        run.Out.Split('\n').Take(4).ShouldBe(states.Select((state, i) => $"{Clock(i - 99)}  {state.ToString().ToLowerInvariant()}"));
    }

    [Fact]
    public async Task Watch_WhenTheSchedulerStaysAway_GivesUp()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = async (_, stream, cancellation) =>
        {
            if (cluster.Watched.Count == 1)
                await stream.WriteAsync(new WatchJobResponse { Job = Builders.ARunningJob() }, cancellation);
            throw new RpcException(new Status(StatusCode.Unavailable, "shutting down"));
        };
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(ExitCode.Unreachable);

        // The watch itself, then two minutes at one try a second.
        cluster.Watched.Count.ShouldBe(121);
    }

    [Fact]
    public async Task Watch_Interrupted_LeavesTheJobAndTellsHowToComeBack()
    {
        await using var cluster = await FakeCluster.StartAsync();
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        cluster.Watch = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(new WatchJobResponse { Job = Builders.ARunningJob() }, cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        // Ctrl-C as soon as the first line is out.
        var run = new CliRun(cluster) { OutWriter = new SignallingWriter(interrupt.Cancel) };

        (await run.RunAsync(interrupt.Token, "job", "watch", "0f3c")).ShouldBe(ExitCode.Interrupted);

        run.Error.ShouldBe(
            "detached; the job goes on. Follow it again: ./cluster job watch 0f3c9a1b   Cancel it: ./cluster job cancel 0f3c9a1b\n");
        cluster.Cancelled.ShouldBeEmpty();
    }

    private static Func<WatchJobRequest, IServerStreamWriter<WatchJobResponse>, CancellationToken, Task> Sends(
        params WatchJobResponse[] messages) =>
        async (_, stream, cancellation) =>
        {
            foreach (var message in messages)
                await stream.WriteAsync(message, cancellation);
        };

    private static string Clock(double seconds) => Words.Clock(Builders.At(seconds));

    private sealed class SignallingWriter(Action onFlush) : StringWriter
    {
        public override Task FlushAsync()
        {
            onFlush();
            return Task.CompletedTask;
        }
    }
}
