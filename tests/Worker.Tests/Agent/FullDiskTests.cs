using Cluster.Tests.Shared;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

/// <summary>The disk of the agent's state folder is full, and has room again later.</summary>
public sealed class FullDiskTests : AgentTest
{
    [Fact]
    public async Task NotesThatFindNoRoom_KeepNoTrainerFromStarting_NorItsExitFromBeingTold()
    {
        await using var disk = await SmallDisk.MountAsync(megabytes: 1, End);
        await using var agent = await StartAsync(Scheduler, "head -c 1 >/dev/null; exit 3", End, $"--Agent:StateFolder={disk.Path}/state");
        disk.Fill();

        await agent.LaunchAsync(ALaunch(), End);
        (await Scheduler.Exits.Reader.ReadAsync(End)).ExitCode.ShouldBe(3);

        disk.MakeRoom();
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        (await Scheduler.Exits.Reader.ReadAsync(End)).JobId.ShouldBe(launch.JobId);
    }

    /// <summary>The note of one that runs has its place from the start, and none is left of one that has ended.</summary>
    [Fact]
    public async Task NotesThatFindRoomAgain_AreWritten()
    {
        await using var disk = await SmallDisk.MountAsync(megabytes: 1, End);
        await using var agent = await StartAsync(Scheduler, Waiting, End, $"--Agent:StateFolder={disk.Path}/state");
        disk.Fill();
        await agent.LaunchAsync(ALaunch(), End);
        NoteOf(agent, "cpu:0").ShouldBeEmpty();

        disk.MakeRoom();
        var launch = ALaunch();
        launch.Ranks.Single().Device = "cpu:1";
        await agent.LaunchAsync(launch, End);

        NoteOf(agent, "cpu:1").ShouldNotBeEmpty();
    }

    private static string NoteOf(RunningAgent agent, string device) =>
        File.ReadAllText(Path.Combine(agent.StateFolder, "trainers", $"{agent.ProcessOn(device)}"));
}
