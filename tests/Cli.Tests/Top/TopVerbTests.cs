using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Cli.Tests.Top;

public sealed class TopVerbTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Top_InAPipe_ShowsMachinesJobsAndWhyJobsWait_Once()
    {
        await using var cluster = await AClusterAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "top")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("""
            2 machines, 1 of them not ready; 1 of 2 devices in use; 1 job running, 2 waiting

            MACHINE  STATE  IN USE  UTILIZATION  JOBS
            one      ready  1/2     75.0 %       0f3c9a1b
            two      lost   0/0     -            -

            RUNNING   NAME    OWNER  STATE    DEVICES  EPOCH  LOSS    IMAGES/S  TIME    REASON
            0f3c9a1b  lenet5  ada    running  1        2/5    0.4313  8,512     1m 15s  -

            WAITING  NAME    OWNER  QUEUE    PLACE  DEVICES  STARTS ABOUT  REASON
            first    lenet5  ada    default  1      1        -             waits for 2 devices
            second   lenet5  ada    default  2+     1        -             waits for 2 devices

            """);
    }

    /// <summary>Until the terminal sees that the scheduler is back.</summary>
    [Fact]
    public async Task Top_OnATerminal_OutlivesTheSchedulersAbsence()
    {
        await using var cluster = await AClusterAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var list = cluster.List;
        var looks = 0;
        cluster.List = request =>
        {
            // Two lists a look: of what runs and of what waits.
            if (++looks is >= 3 and <= 6)
                throw new RpcException(new Status(StatusCode.Unavailable, "the scheduler is stopping"));
            if (looks > 12)
                stop.Cancel();
            return list(request);
        };
        var run = new CliRun(cluster) { IsTerminal = true };

        (await run.RunAsync(stop.Token, "top")).ShouldBe(ExitCode.Interrupted, run.Error);

        run.Out.ShouldContain("no scheduler has answered for ");
        // That look's own, and one after it.
        run.Out[run.Out.LastIndexOf("no scheduler has answered", StringComparison.Ordinal)..].Split("1 of 2 devices in use").Length
            .ShouldBeGreaterThan(2);
    }

    [Fact]
    public async Task Top_WithoutAScheduler_SaysSoAtOnce()
    {
        var run = new CliRun { IsTerminal = true }.With("CLUSTER_SERVER", "http://127.0.0.1:1");

        (await run.RunAsync(Cancellation, "top")).ShouldBe(ExitCode.Unreachable);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("", true)]
    [InlineData("1", false)]
    public async Task Colours_AreLeftOut_WhereNoColorIsSet(string? noColor, bool areColours)
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Watch = (_, stream, cancellation) =>
            stream.WriteAsync(new WatchJobResponse { Job = Builders.AFinishedJob() }, cancellation);
        var run = new CliRun(cluster) { IsTerminal = true }.With("NO_COLOR", noColor).With("TERM", "xterm-256color");

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.Split("\u001b[").Skip(1).Any(Colours).ShouldBe(areColours);

        // "38;5;2m…": select graphic rendition, with a colour of the text.
        static bool Colours(string sequence) =>
            sequence[0] is '3' or '9' && sequence.TrimStart([.. "0123456789;"]).StartsWith('m');
    }

    private static async Task<FakeCluster> AClusterAsync()
    {
        var cluster = await FakeCluster.StartAsync();
        cluster.Nodes.Nodes.Add(new Node
        {
            Name = "one",
            State = NodeState.Ready,
            Devices =
            {
                new DeviceStatus { Device = new Device { Id = "cpu:0" }, JobId = Builders.JobId, Utilization = 0.75 },
                new DeviceStatus { Device = new Device { Id = "cpu:1" } },
            },
        });
        cluster.Nodes.Nodes.Add(new Node { Name = "two", State = NodeState.Lost });
        cluster.List = request => request.States.Contains(JobState.Queued)
            ? new ListJobsResponse { Jobs = { Waiting("second", 2, orLater: true), Waiting("first", 1) } }
            : new ListJobsResponse { Jobs = { Builders.ARunningJob() } };
        return cluster;
    }

    private static Job Waiting(string id, int position, bool orLater = false) => Builders.AJob(job =>
        (job.Id, job.Queue) = (id, new QueueStanding { Position = position, OrLater = orLater }));
}
