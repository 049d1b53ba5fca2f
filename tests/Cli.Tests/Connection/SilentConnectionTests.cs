using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Grpc.Core;

namespace Cluster.Cli.Tests.Connection;

/// <summary>
/// Between the command line and the scheduler stands a relay that falls silent and closes nothing, or behind which another scheduler takes
/// over.
/// </summary>
public sealed class SilentConnectionTests
{
    private static readonly ConnectionPings Soon = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Watch_WhenTheConnectionFallsSilent_GoesOnOverAnotherBehindTheLastEvent()
    {
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(cluster.Address).Port);
        cluster.Watch = async (_, stream, cancellation) =>
        {
            if (cluster.Watched.Count > 1)
            {
                var last = new WatchJobResponse { Job = Builders.AFinishedJob(), Event = Builders.AnEvent(8, JobState.Succeeded) };
                await stream.WriteAsync(last, cancellation);
                return;
            }

            var first = new WatchJobResponse { Job = Builders.ARunningJob(), Event = Builders.AnEvent(7, JobState.Running) };
            await stream.WriteAsync(first, cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        var run = Run(relay, onFlush: () => Break(relay));

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(ExitCode.Done, run.Error);

        cluster.Watched.Select(request => request.AfterSequence).ShouldBe([0, 7]);
        run.Error.ShouldBe("the scheduler went away; the job goes on, waiting for it to come back\nthe scheduler is back\n");
    }

    [Fact]
    public async Task Logs_WhenTheConnectionFallsSilent_GoOnOverAnotherBehindTheLastLine()
    {
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(cluster.Address).Port);
        cluster.Logs = async (_, stream, cancellation) =>
        {
            if (cluster.Logged.Count > 1)
            {
                await stream.WriteAsync(Lines(3), cancellation);
                return;
            }

            await stream.WriteAsync(Lines(1, 2), cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        var run = Run(relay, onFlush: () => Break(relay));

        (await run.RunAsync(Cancellation, "job", "logs", "0f3c", "-f", "--tail", "2")).ShouldBe(ExitCode.Done, run.Error);

        cluster.Logged.Select(request => (request.AfterSequence, request.Tail)).ShouldBe([(0, 2), (2, 0)]);
        Texts(run).ShouldBe(["line 1", "line 2", "line 3"]);
    }

    /// <summary>Killed, so that it closes nothing in good order, and started again where it was.</summary>
    [Fact]
    public async Task Logs_WhenTheSchedulerRestarts_GoOnBehindTheLastLine()
    {
        await using var restarted = await FakeCluster.StartAsync();
        restarted.Logs = (request, stream, cancellation) =>
            stream.WriteAsync(Lines([.. Enumerable.Range((int)request.AfterSequence + 1, 2)]), cancellation);
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(cluster.Address).Port);
        cluster.Logs = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(Lines(1, 2), cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        var run = Run(relay, onFlush: () =>
        {
            relay.Target = new Uri(restarted.Address).Port;
            relay.CutOff();
        });

        (await run.RunAsync(Cancellation, "job", "logs", "0f3c", "-f")).ShouldBe(ExitCode.Done, run.Error);

        Texts(run).ShouldBe(["line 1", "line 2", "line 3", "line 4"]);
        run.Error.ShouldBe("the scheduler went away; the log goes on from here, waiting for it to come back\nthe scheduler is back\n");
    }

    /// <summary>The empty message tells that the call has come through; what is written later is new, however much there is.</summary>
    [Fact]
    public async Task Logs_OfAJobThatHasWrittenNothing_OutliveTheSchedulerToo_AndAskForNoTailAgain()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Logs = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(cluster.Logged.Count > 1 ? Lines(1, 2, 3) : new StreamLogsResponse(), cancellation);
            if (cluster.Logged.Count == 1)
                throw new RpcException(new Status(StatusCode.Unavailable, "the scheduler is stopping; try again"));
        };
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "logs", "0f3c", "-f", "--tail", "2")).ShouldBe(ExitCode.Done, run.Error);

        cluster.Logged.Select(request => request.Tail).ShouldBe([2, 0]);
        Texts(run).ShouldBe(["line 1", "line 2", "line 3"]);
    }

    [Fact]
    public async Task Logs_WhenTheSchedulerRefuses_EndWithItsWord_AndAreNotAskedForAgain()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Logs = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(Lines(1), cancellation);
            throw new RpcException(new Status(StatusCode.Internal, "it failed inside"));
        };
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "logs", "0f3c", "-f")).ShouldBe(ExitCode.Failed);

        cluster.Logged.Count.ShouldBe(1);
        run.Error.ShouldContain("it failed inside");
    }

    /// <summary>As of a process that is stopped: its connections are accepted.</summary>
    [Theory]
    [InlineData("job", "list")]
    [InlineData("job", "logs", "0f3c", "-f")]
    public async Task Call_WhenTheFirstSchedulerSaysNothing_IsMadeAtAnother(params string[] arguments)
    {
        await using var paused = await FakeCluster.StartAsync();
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(paused.Address).Port);
        relay.FallSilent();
        cluster.Logs = (_, stream, cancellation) => stream.WriteAsync(Lines(1), cancellation);
        var run = new CliRun().With("CLUSTER_SERVER", $"{relay.Address.OriginalString},{cluster.Address}");

        (await run.RunAsync(Cancellation, arguments)).ShouldBe(ExitCode.Done, run.Error);

        (cluster.Listed.Count + cluster.Logged.Count, paused.Listed.Count + paused.Logged.Count).ShouldBe((1, 0));
    }

    [Fact]
    public async Task Watch_WhenItsSchedulerFallsSilent_GoesOnAtAnotherBehindTheLastEvent()
    {
        await using var paused = await FakeCluster.StartAsync();
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(paused.Address).Port);
        paused.Watch = async (_, stream, cancellation) =>
        {
            var first = new WatchJobResponse { Job = Builders.ARunningJob(), Event = Builders.AnEvent(7, JobState.Running) };
            await stream.WriteAsync(first, cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        cluster.Watch = (_, stream, cancellation) => stream.WriteAsync(
            new WatchJobResponse { Job = Builders.AFinishedJob(), Event = Builders.AnEvent(8, JobState.Succeeded) }, cancellation);
        var run = Run(relay, onFlush: relay.FallSilent).With("CLUSTER_SERVER", $"{relay.Address.OriginalString},{cluster.Address}");

        (await run.RunAsync(Cancellation, "job", "watch", "0f3c")).ShouldBe(ExitCode.Done, run.Error);

        (paused.Watched.Single().AfterSequence, cluster.Watched.Single().AfterSequence).ShouldBe((0, 7));
    }

    [Theory]
    [InlineData("job", "watch", "0f3c")]
    [InlineData("job", "logs", "0f3c", "-f")]
    [InlineData("experiment", "watch", "0f3c")]
    [InlineData("job", "list")]
    public async Task Call_OverAConnectionThatIsSilentFromTheStart_EndsWithAnError(params string[] arguments)
    {
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(cluster.Address).Port);
        relay.FallSilent();
        var run = Run(relay);

        (await run.RunAsync(Cancellation, arguments)).ShouldBe(ExitCode.Unreachable, run.Error);

        run.Error.ShouldStartWith($"cannot reach the scheduler at {relay.Address.OriginalString} (");
    }

    [Theory]
    [InlineData("watch", "0f3c")]
    [InlineData("logs", "0f3c", "-f")]
    public async Task Follow_WhenEveryConnectionStaysSilent_EndsWithAnErrorAfterItsPatience(params string[] arguments)
    {
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(cluster.Address).Port);
        cluster.Watch = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(new WatchJobResponse { Job = Builders.ARunningJob() }, cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        cluster.Logs = async (_, stream, cancellation) =>
        {
            await stream.WriteAsync(Lines(1), cancellation);
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        // The pause before the second try takes the two minutes.
        var run = Run(relay, onFlush: relay.FallSilent, haste: 120);

        (await run.RunAsync(Cancellation, ["job", .. arguments])).ShouldBe(ExitCode.Unreachable, run.Error);

        run.Error.ShouldContain("the scheduler went away");
        run.Error.ShouldContain($"cannot reach the scheduler at {relay.Address.OriginalString} (");
    }

    private static StreamLogsResponse Lines(params int[] numbers) => new()
    {
        Lines =
        {
            numbers.Select(number => new LogLine { Sequence = number, Time = Builders.At(number), Attempt = 1, Text = $"line {number}" }),
        },
    };

    private static IEnumerable<string> Texts(CliRun run) =>
        run.Out.TrimEnd().Split('\n').Select(line => line[line.IndexOf("line ", StringComparison.Ordinal)..]);

    private static void Break(TcpRelay relay)
    {
        relay.FallSilent();
        relay.Recover();
    }

    private static CliRun Run(TcpRelay relay, Action? onFlush = null, int haste = 1) =>
        new CliRun { Pings = Soon, Time = new NoonTime(haste), OutWriter = new SignallingWriter(onFlush ?? (() => { })) }
            .With("CLUSTER_SERVER", relay.Address.OriginalString);

    /// <summary>Says when what has come has been printed.</summary>
    private sealed class SignallingWriter(Action onFlush) : StringWriter
    {
        private Action? _onFirstFlush = onFlush;

        public override Task FlushAsync()
        {
            Interlocked.Exchange(ref _onFirstFlush, null)?.Invoke();
            return Task.CompletedTask;
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => FlushAsync();
    }
}
