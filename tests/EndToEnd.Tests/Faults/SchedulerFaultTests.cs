namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>One of three schedulers fails, or the database that they share, while a job trains.</summary>
[Collection(typeof(FaultTests))]
public sealed class SchedulerFaultTests(ThreeSchedulers schedulers)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private LocalCluster Cluster => schedulers.Cluster;

    /// <summary>The one that agents and clients talk to.</summary>
    [Fact]
    public Task FirstScheduler_KilledInMidJob_LeavesTheJobToTheOthers_InTheSameAttempt() => KillAsync(1);

    [Fact]
    [Trait("Round", "full")]
    public Task AnotherScheduler_KilledInMidJob_LeavesTheJobToTheOthers_InTheSameAttempt() => KillAsync(2);

    /// <summary>The others take a paused one for dead meanwhile, and it finds that out when it goes on.</summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task PausedScheduler_CostsNoNodeAndNoRestart_AndGoesOnAsANewOne()
    {
        var before = await Invariants.EpochsAsync(Cluster, Cancelled);
        var process = Cluster.ProcessId(LocalCluster.Scheduler(1));
        var job = await schedulers.StartAsync("scheduler-paused", devices: 2);

        await Processes.PauseAsync(process, async () =>
        {
            // It is the first that clients ask.
            (await Cluster.RunAsync(["node", "list"], Cancelled)).MustSucceed();
            await schedulers.IsTakenForDeadAsync(1);
        });

        (await schedulers.EndsUndisturbedAsync(job)).Attempt.ShouldBe(1);
        await AnswersAsync(1);
        Processes.With("/Cluster.Scheduler").ShouldContain(process, "it is still its own process");
        (await Invariants.EpochsAsync(Cluster, Cancelled)).ShouldBe(before, "no node is lost");
    }

    [Fact]
    public async Task SchedulerCutOff_FromDatabaseOthersAgentsAndClients_CostsNoNodeAndNoRestart_AndGoesOnOnceItIsNot()
    {
        var before = await Invariants.EpochsAsync(Cluster, Cancelled);
        var job = await schedulers.StartAsync("scheduler-cut-off", devices: 2);

        await schedulers.CutOffFirstAsync();
        try
        {
            await schedulers.IsTakenForDeadAsync(1);
            // All that the others need is there.
            (await schedulers.EndsUndisturbedAsync(job)).Attempt.ShouldBe(1);
            await schedulers.Client.SucceededAsync(
                await schedulers.Client.SubmitAsync(DisturbedJob.Yaml("meanwhile", epochs: 1), Cancelled), Cancelled);
        }
        finally
        {
            schedulers.Mend();
        }

        await AnswersAsync(1);
        (await Invariants.EpochsAsync(Cluster, Cancelled)).ShouldBe(before, "no node is lost");
    }

    [Fact]
    [Trait("Round", "full")]
    public async Task Database_AwayForFiveLeases_CostsNoNodeAndNoRestart()
    {
        var before = await Invariants.EpochsAsync(Cluster, Cancelled);
        var job = await schedulers.StartAsync("database-away", devices: 2);

        await Cluster.PostgresAsync("stop_postgres", Cancelled);
        await Task.Delay(5 * schedulers.Lease, Cancelled);
        await Cluster.PostgresAsync("start_postgres", Cancelled);

        (await schedulers.EndsUndisturbedAsync(job)).Attempt.ShouldBe(1);
        (await Invariants.EpochsAsync(Cluster, Cancelled)).ShouldBe(before, "no node is lost");
    }

    private async Task KillAsync(int victim)
    {
        var before = await Invariants.EpochsAsync(Cluster, Cancelled);
        var job = await schedulers.StartAsync($"scheduler-killed-{victim}", devices: 2);
        // Of several jobs some have their grain in the scheduler that dies, whichever it is.
        var waiting = new List<string>();
        for (var i = 0; i < 4; i++)
            waiting.Add(await schedulers.Client.SubmitAsync(DisturbedJob.Yaml($"waits-{victim}-{i}", epochs: 1), Cancelled));

        await Processes.KillAsync(Cluster.ProcessId(LocalCluster.Scheduler(victim)), Cancelled);

        // By our own client, which goes on with another scheduler as the agents do.
        (await Cluster.RunAsync(["job", "watch", job], Cancelled)).MustSucceed();
        foreach (var id in waiting.Prepend(job))
            (await schedulers.Client.SucceededAsync(id, Cancelled)).Attempt.ShouldBe(1);
        await schedulers.EndsUndisturbedAsync(job);
        await Cluster.UpAsync(Cancelled);
        (await Invariants.EpochsAsync(Cluster, Cancelled)).ShouldBe(before, "no node is lost");
    }

    private Task AnswersAsync(int scheduler)
    {
        string[] ask = ["node", "list", "--server", $"http://127.0.0.1:{Cluster.GrpcPort(scheduler)}"];
        return Eventually.BeTrueAsync(
            () => Cluster.RunAsync(ask, Cancelled).Result.ExitCode == 0, $"scheduler {scheduler} answers", Cancelled);
    }
}
