using Cluster.Contracts.V1;
using Cluster.Tests.Shared;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>The disk on which the database keeps checkpoints, or an agent its notes, is full for a while.</summary>
[Collection(typeof(FaultTests))]
public sealed class FullDiskTests(ThreeSchedulers schedulers)
{
    private const int Megabytes = 256;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private LocalCluster Cluster => schedulers.Cluster;

    [Fact]
    [Trait("Round", "full")]
    public async Task DiskFullAtACheckpoint_LeavesTheWholeOnesBefore_AndTheRunsBits()
    {
        await using var disk = await SmallDisk.MountAsync(Megabytes, Cancelled);
        await Cluster.PostgresAsync($"chown \"$(pg_user)\" '{disk.Path}'", Cancelled);
        await Cluster.QueryAsync($"create tablespace small location '{disk.Path}'", Cancelled);
        await Cluster.QueryAsync("alter table checkpoint_chunks set tablespace small", Cancelled);
        // No room in the table itself, where checkpoints of earlier jobs were.
        await Cluster.QueryAsync(
            "alter table checkpoint_chunks set (autovacuum_enabled = off, toast.autovacuum_enabled = off)", Cancelled);
        await Cluster.QueryAsync("vacuum full checkpoint_chunks", Cancelled);
        try
        {
            var job = await schedulers.StartAsync("disk-full", devices: 2);
            disk.Fill();
            await Eventually.BeTrueAsync(ACheckpointFoundNoRoom, "a checkpoint finds no room", Cancelled);

            Processes.Signal(Processes.TrainersOf(job)[0], Processes.Kill);
            await schedulers.Client.UntilAsync(job, now => now is { Attempt: 2, State: JobState.Running }, Cancelled);
            await Invariants.HoldAsync(Cluster, "with a full disk", Cancelled);
            disk.MakeRoom();

            (await schedulers.EndsUndisturbedAsync(job)).Restarts.ShouldBe(1);
        }
        finally
        {
            disk.MakeRoom();
            await Cluster.QueryAsync("alter table checkpoint_chunks reset (autovacuum_enabled, toast.autovacuum_enabled)", Cancelled);
            await Cluster.QueryAsync("alter table checkpoint_chunks set tablespace pg_default", Cancelled);
            await Cluster.QueryAsync("drop tablespace small", Cancelled);
        }
    }

    [Fact]
    [Trait("Round", "full")]
    public async Task DiskFullAtAnAgentsNotes_LosesNoExit_NorTheRunsBits()
    {
        await using var disk = await SmallDisk.MountAsync(megabytes: 16, Cancelled);
        await RestartAgentAsync(Path.Combine(disk.Path, "state"));
        try
        {
            disk.Fill();
            var job = await schedulers.StartAsync("notes-full", devices: 2);
            foreach (var trainer in Processes.TrainersOf(job))
                Processes.TrySignal(trainer, Processes.Kill);

            await schedulers.Client.UntilAsync(job, now => now is { Attempt: 2, State: JobState.Running }, Cancelled);
            disk.MakeRoom();
            (await schedulers.EndsUndisturbedAsync(job)).Restarts.ShouldBe(1);
        }
        finally
        {
            await RestartAgentAsync(Path.Combine(Cluster.State, "worker-1"));
        }
    }

    /// <summary>With another folder it is another node of the same name, which takes the other's place.</summary>
    private async Task RestartAgentAsync(string stateFolder)
    {
        const string query = "select id from nodes where name = 'worker-1'";
        var before = await Cluster.QueryAsync(query, Cancelled);
        Cluster.Configure("worker-1", $"Agent__StateFolder={stateFolder}");
        await Processes.KillAsync(Cluster.ProcessId("worker-1"), Cancelled);
        await Cluster.UpAsync(Cancelled);
        await Eventually.BeTrueAsync(
            () => Cluster.QueryAsync(query, Cancelled).Result is [var now] && !before.Contains(now), "the other node is the only one",
            Cancelled);
    }

    private bool ACheckpointFoundNoRoom() => Directory.GetFiles(Path.Combine(Cluster.State, "logs"), "worker-*")
        .Any(log => File.ReadAllText(log).Contains("No space left", StringComparison.Ordinal));
}
