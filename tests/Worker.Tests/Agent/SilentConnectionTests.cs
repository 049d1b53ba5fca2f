using Cluster.Contracts.V1;
using Cluster.Tests.Shared;

namespace Cluster.Worker.Tests.Agent;

/// <summary>Between the agent and the scheduler stands a relay that falls silent and closes nothing.</summary>
public sealed class SilentConnectionTests : AgentTest
{
    [Fact]
    public async Task Heartbeat_OverAConnectionThatFellSilent_ComesOverAnother()
    {
        await using var relay = TcpRelay.To(Scheduler.Port);
        await using var agent = await StartAsync(relay);
        await Scheduler.Heartbeats.Reader.ReadAsync(End);

        relay.FallSilent();
        relay.Recover();
        while (Scheduler.Heartbeats.Reader.TryRead(out _))
        {
            // Those of before. One that was under way may still come, none after it.
        }

        await Scheduler.Heartbeats.Reader.ReadAsync(End);
        await Scheduler.Heartbeats.Reader.ReadAsync(End);
        relay.Connections.ShouldBe(2);
        Scheduler.Registrations.Reader.TryRead(out _).ShouldBeFalse("it renews its lease, and does not register anew");
    }

    /// <summary>As when the process is stopped: its connections are accepted, and nobody answers for as long as that goes on.</summary>
    [Fact]
    public async Task Heartbeat_WhenTheSchedulerSaysNothingAnyMore_GoesToAnother()
    {
        await using var relay = TcpRelay.To(Scheduler.Port);
        await using var other = await FakeScheduler.StartAsync(End);
        await using var agent = await RunningAgent.StartAsync(
            Scheduler, RunningAgent.Waiting, End,
            $"--Agent:SchedulerAddress={relay.Address.OriginalString},http://127.0.0.1:{other.Port}");
        await Scheduler.Heartbeats.Reader.ReadAsync(End);

        relay.FallSilent();

        var heartbeat = await other.Heartbeats.Reader.ReadAsync(End);
        heartbeat.Incarnation.ShouldBe(agent.Registration.Incarnation);
        other.Registrations.Reader.TryRead(out _).ShouldBeFalse("it renews its lease, and does not register anew");
        await other.Heartbeats.Reader.ReadAsync(End);
    }

    [Fact]
    public async Task Register_WhenTheFirstSchedulerSaysNothing_GoesToAnother()
    {
        await using var relay = TcpRelay.To(Scheduler.Port);
        relay.FallSilent();

        await using var agent = await RunningAgent.StartAsync(
            Scheduler, RunningAgent.Waiting, End,
            $"--Agent:SchedulerAddress={relay.Address.OriginalString},http://127.0.0.1:{Scheduler.Port}");

        (await Scheduler.Heartbeats.Reader.ReadAsync(End)).NodeId.ShouldBe(agent.Registration.NodeId);
    }

    /// <summary>And what the heartbeats have found out holds for the trainers' calls.</summary>
    [Fact]
    public async Task TrainersCall_WhenTheSchedulerSaysNothingAnyMore_GoesToTheOneThatHeartbeatsReach()
    {
        await using var relay = TcpRelay.To(Scheduler.Port);
        await using var other = await FakeScheduler.StartAsync(End);
        await using var agent = await RunningAgent.StartAsync(
            Scheduler, RunningAgent.Waiting, End,
            $"--Agent:SchedulerAddress={relay.Address.OriginalString},http://127.0.0.1:{other.Port}");
        var launch = RunningAgent.ALaunch();
        await agent.LaunchAsync(launch, End);
        relay.FallSilent();
        await other.Heartbeats.Reader.ReadAsync(End);
        using var link = agent.LinkOf(launch);

        (await link.RendezvousAsync("collectives", "address", End)).Endpoints.ShouldHaveSingleItem().Address.ShouldBe("address");

        other.Endpoints.Count.ShouldBe(1);
        Scheduler.Endpoints.ShouldBeEmpty();
    }

    [Fact]
    public async Task Register_OverAConnectionThatIsSilentFromTheStart_ComesOverAnother()
    {
        await using var relay = TcpRelay.To(Scheduler.Port);
        relay.FallSilent();
        var starting = StartAsync(relay);
        await relay.ConnectedAsync(End);
        relay.Recover();

        await using var agent = await starting;

        relay.Connections.ShouldBe(2);
    }

    /// <summary>For as long as it takes: the trainer hears nothing of it.</summary>
    [Fact]
    public async Task TrainersCall_OverAConnectionThatFellSilent_IsMadeAgainOverAnother()
    {
        await using var relay = TcpRelay.To(Scheduler.Port);
        await using var agent = await StartAsync(relay);
        var launch = RunningAgent.ALaunch();
        await agent.LaunchAsync(launch, End);
        var calls = 0;
        Scheduler.OnRendezvous = async cancellationToken =>
        {
            if (Interlocked.Increment(ref calls) > 1)
                return;
            relay.FallSilent();
            relay.Recover();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        };
        using var link = agent.LinkOf(launch);

        (await link.RendezvousAsync("collectives", "address", End)).Endpoints.ShouldHaveSingleItem().Address.ShouldBe("address");

        calls.ShouldBe(2);
    }

    // An answer may take a while on a busy machine: it is not to be taken for the silence that a test makes.
    private Task<RunningAgent> StartAsync(TcpRelay relay) => RunningAgent.StartAsync(
        Scheduler, RunningAgent.Waiting, End,
        $"--Agent:SchedulerAddress={relay.Address.OriginalString}", "--Agent:PingDelay=00:00:01", "--Agent:PingTimeout=00:00:05");
}
