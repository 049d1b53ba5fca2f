using System.Diagnostics;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Devices;
using Grpc.Core;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

/// <summary>Whatever becomes of the agent's own files and of other ranks: no trainer is left behind, and every exit is reported.</summary>
public sealed class TrainerExitTests : AgentTest
{
    [Fact]
    public async Task Notes_ThatCannotBeWritten_NeitherEndATrainerNorHideItsExit()
    {
        await using var agent = await StartAsync(Scheduler, "head -c 1 >/dev/null; exit 3", End);
        // A file where the folder of the notes belongs; a full disk's error is an IOException too.
        await File.WriteAllTextAsync(Path.Combine(agent.StateFolder, "trainers"), "", End);

        await agent.LaunchAsync(ALaunch(ranks: 2), End);
        var exits = new[] { await Scheduler.Exits.Reader.ReadAsync(End), await Scheduler.Exits.Reader.ReadAsync(End) };

        exits.Select(exit => (exit.Rank, exit.ExitCode)).Order().ShouldBe([(0, 3), (1, 3)]);
    }

    [Fact]
    public async Task Notes_WhoseFolderIsGone_DoNotHideAnExit()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        Directory.Delete(Path.Combine(agent.StateFolder, "trainers"), recursive: true);

        await agent.StopAsync(launch, TimeSpan.Zero, "over", End);

        (await Scheduler.Exits.Reader.ReadAsync(End)).Signal.ShouldBe(9);
    }

    [Fact]
    public async Task Launch_WhenTheAgentsSocketIsGone_IsRefusedAndLeavesNoTrainer()
    {
        await using var agent = await StartAsync(Scheduler, $"touch \"$(dirname \"$0\")/started\"; {Waiting}", End);
        File.Delete(agent.Socket);

        var refusal = await Should.ThrowAsync<RpcException>(() => agent.LaunchAsync(ALaunch(), End));

        refusal.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        refusal.Status.Detail.ShouldContain("by which trainers reach this agent, is gone");
        File.Exists(Path.Combine(Path.GetDirectoryName(agent.StateFolder)!, "started")).ShouldBeFalse();
    }

    /// <summary>Where one rank dies its peers wait for it: only its exit, reported, ends them.</summary>
    [Fact]
    public async Task Exit_OfARank_DoesNotWaitForLinesThatTheSchedulerIsSlowToTake()
    {
        var slow = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Scheduler.OnLogs = () => slow.Task;
        await using var agent = await StartAsync(
            Scheduler, $"echo a line; case \"$*\" in *'--rank 0'*) exit 3;; esac; {Waiting}", End, "--Agent:LastLinesPatience=00:00:00.1");
        await agent.LaunchAsync(ALaunch(ranks: 2), End);

        var exit = await Scheduler.Exits.Reader.ReadAsync(End);
        var arrivedBefore = Scheduler.LogBatches.Count;
        slow.SetResult();
        await LineAsync(line => line.Rank == 0 && line.Text == "a line");

        arrivedBefore.ShouldBe(0);
        (exit.Rank, exit.ExitCode, exit.Evicted).ShouldBe((0, 3, false));
        exit.Message.ShouldBe("2 lines of its log are still on their way");
    }

    [Fact]
    public async Task Exit_OfARank_WaitsForItsOwnLinesAndNotForAnothersThatGoesOnWriting()
    {
        await using var agent = await StartAsync(
            Scheduler, "case \"$*\" in *'--rank 0'*) echo the last word; exit 3;; esac; while true; do echo more; done", End,
            PatientForLines);
        var launch = ALaunch(ranks: 2);
        await agent.LaunchAsync(launch, End);

        var exit = await Scheduler.Exits.Reader.ReadAsync(End);
        var lines = Scheduler.LogBatches.SelectMany(batch => batch.Lines).Where(line => line.Rank == 0).ToList();
        await agent.StopAsync(launch, TimeSpan.Zero, "over", End);

        (exit.Rank, exit.Message).ShouldBe((0, ""));
        lines.ShouldContain(line => line.Text == "the last word");
    }

    [Fact]
    public async Task Shutdown_IsToldBeforeTheTrainersEnd_AndTheirExitsAreEvictions()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End, PatientAtItsEnd, "--Agent:ShutdownGrace=00:00:00");
        await agent.LaunchAsync(ALaunch(), End);
        var toldWhileItRan = false;
        Scheduler.OnHeartbeat = beat =>
        {
            toldWhileItRan |= beat.ShuttingDown && beat.Running.Count == 1 && Scheduler.Exits.Reader.Count == 0;
            return new HeartbeatResponse();
        };

        await agent.EndAsync(End);

        toldWhileItRan.ShouldBeTrue();
        (await Scheduler.Exits.Reader.ReadAsync(End)).Evicted.ShouldBeTrue();
    }

    [Fact]
    public async Task Shutdown_WithASchedulerThatIsAway_EndsTheTrainersAllTheSame()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        await agent.LaunchAsync(ALaunch(), End);
        using var trainer = Process.GetProcessById(agent.ProcessOn("cpu:0"));
        await Scheduler.GoAwayAsync();

        await agent.EndAsync(End);

        ProcessTimes.TryRead(trainer.Id).ShouldBeNull();
    }
}
