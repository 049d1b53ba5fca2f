using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Devices;
using Cluster.Worker.Training;
using Grpc.Core;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

public sealed class StopTests : AgentTest
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    [Fact]
    public async Task Stop_ReachesAnAttachedTrainerWithReasonAndGrace()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var link = agent.LinkOf(launch);
        using var stop = new TrainerStop(TimeProvider.System);
        _ = await link.AttachAsync(stop, End);
        var arrived = new TaskCompletionSource();
        await using var registration = stop.Requested.Register(arrived.SetResult);

        await agent.StopAsync(launch, Long, "cancelled by ann", End);

        await arrived.Task.WaitAsync(End);
        stop.Reason.ShouldBe("cancelled by ann");
        stop.GraceLeft.ShouldBeInRange(TimeSpan.FromMinutes(1), Long);
    }

    [Fact]
    public async Task Stop_BeforeTheTrainerHasAttached_WaitsForIt()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        await agent.StopAsync(launch, Long, "early", End);
        using var link = agent.LinkOf(launch);
        using var stop = new TrainerStop(TimeProvider.System);
        var arrived = new TaskCompletionSource();
        await using var registration = stop.Requested.Register(arrived.SetResult);

        _ = await link.AttachAsync(stop, End);

        await arrived.Task.WaitAsync(End);
    }

    [Fact]
    public async Task Stop_WhenTheGraceIsOver_Kills()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch(ranks: 2);
        await agent.LaunchAsync(launch, End);
        await agent.StopAsync(launch, TimeSpan.FromMilliseconds(50), "preempted", End);
        var exits = new[] { await Scheduler.Exits.Reader.ReadAsync(End), await Scheduler.Exits.Reader.ReadAsync(End) };

        exits.Select(exit => exit.Rank).Order().ShouldBe([0, 1]);
        exits.ShouldAllBe(
            exit => exit.Signal == 9 && exit.Message == "killed by the agent: still running 0.1 s after it was asked to stop: preempted");
    }

    [Fact]
    public async Task Stop_OfAnUnknownAttempt_IsNoError()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);

        await agent.StopAsync(ALaunch(), TimeSpan.Zero, "", End);
    }

    [Fact]
    public async Task Heartbeat_AnsweredWithAStaleAttempt_EndsItsTrainersAtOnce()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        Scheduler.OnHeartbeat = beat => new HeartbeatResponse { Stale = { beat.Running } };
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        exit.Signal.ShouldBe(9);
        exit.Message.ShouldContain("the scheduler has given this attempt up");
    }

    [Fact]
    public async Task Heartbeat_AnsweredWithNotFound_RegistersAgainWithWhatRuns()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        var forgotten = 0;
        Scheduler.OnHeartbeat = _ =>
            Interlocked.Exchange(ref forgotten, 1) == 0
                ? throw new RpcException(new Status(StatusCode.NotFound, "who?"))
                : new HeartbeatResponse();
        var again = await Scheduler.Registrations.Reader.ReadAsync(End);

        again.NodeId.ShouldBe(agent.Registration.NodeId);
        again.Incarnation.ShouldBe(agent.Registration.Incarnation);
        again.Running.Select(attempt => attempt.JobId).ShouldBe([launch.JobId]);
    }

    [Fact]
    public async Task Shutdown_EndsTrainersAndReportsTheirExits()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End, PatientAtItsEnd);
        await agent.LaunchAsync(ALaunch(), End);
        var process = agent.ProcessOn("cpu:0");

        await agent.EndAsync(End);

        (await Scheduler.Exits.Reader.ReadAsync(End)).Message.ShouldContain("the agent is shutting down");
        ProcessTimes.TryRead(process).ShouldBeNull();
    }

    [Fact]
    public async Task Start_KillsWhatAnEarlierIncarnationLeftAndNothingElse()
    {
        using var leftover = Process.Start("/bin/sleep", "1000");
        using var stranger = Process.Start("/bin/sleep", "1000");
        var folder = Directory.CreateTempSubdirectory("agent-tests-");
        try
        {
            var notes = Directory.CreateDirectory(Path.Combine(folder.FullName, "trainers")).FullName;
            await File.WriteAllTextAsync(
                Path.Combine(notes, $"{leftover.Id}"), $"{ProcessTimes.TryRead(leftover.Id)!.Value.StartTicks}", End);
            // The number is in use, by a process that started at another time.
            await File.WriteAllTextAsync(Path.Combine(notes, $"{stranger.Id}"), "1", End);

            await using var agent = await StartAsync(Scheduler, Waiting, End, $"--Agent:StateFolder={folder.FullName}");

            await leftover.WaitForExitAsync(End);
            stranger.HasExited.ShouldBeFalse();
            Directory.GetFiles(notes).ShouldBeEmpty();
        }
        finally
        {
            leftover.Kill();
            stranger.Kill();
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Start_WithANoteThatCannotBeRead_KeepsIt_AndHeedsTheOthers()
    {
        using var leftover = Process.Start("/bin/sleep", "1000");
        var folder = Directory.CreateTempSubdirectory("agent-tests-");
        try
        {
            var notes = Directory.CreateDirectory(Path.Combine(folder.FullName, "trainers")).FullName;
            await File.WriteAllTextAsync(
                Path.Combine(notes, $"{leftover.Id}"), $"{ProcessTimes.TryRead(leftover.Id)!.Value.StartTicks}", End);
            var unreadable = Path.Combine(notes, $"{int.MaxValue}");
            File.CreateSymbolicLink(unreadable, unreadable); // a loop, for root too

            await using var agent = await StartAsync(Scheduler, Waiting, End, $"--Agent:StateFolder={folder.FullName}");

            await leftover.WaitForExitAsync(End);
            Directory.GetFiles(notes).ShouldBe([unreadable]);
        }
        finally
        {
            leftover.Kill();
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Start_WithAStateFolderInUse_SaysSo()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var folder = agent.StateFolder;

        var refusal = Should.Throw<IOException>(() => AgentIdentity.Open(folder));

        refusal.Message.ShouldBe($"Agent:StateFolder is '{folder}', which another agent uses; give each agent its own");
    }
}
