using System.Text.Json;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests;

/// <summary>A second cluster on the machine, beside the one that the other tests share, of two schedulers on one database.</summary>
public sealed class SeveralSchedulersTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("scheduler")] // the one that agents and clients talk to
    [InlineData("scheduler-2")]
    public async Task KilledScheduler_InMidJob_LeavesTheJobToTheOther_InTheSameAttempt(string victim)
    {
        await using var cluster = new LocalCluster { Schedulers = 2 };
        await cluster.InitializeAsync();
        var outlives = await cluster.SubmitAsync(JobFiles.LeNet("outlives", epochs: 12), Cancelled);
        // Of several jobs some have their grain in the scheduler that dies, whichever it is.
        var others = new List<Job>();
        for (var i = 0; i < 6; i++)
            others.Add(await cluster.SubmitAsync(JobFiles.LeNet($"waits-{i}", epochs: 1, trainSamples: 512), Cancelled));
        await cluster.WaitAsync(outlives.Id, now => now.Progress?.Step > 20, Cancelled);

        Processes.Signal(cluster.ProcessId(victim), Processes.Kill);

        // By the client, which goes on with the other scheduler as the agents do.
        foreach (var id in others.Select(other => other.Id).Prepend(outlives.Id))
        {
            (await cluster.RunAsync(["job", "watch", id], Cancelled)).MustSucceed();
            var described = await cluster.RunAsync(["job", "describe", id, "--json"], Cancelled);
            using var job = JsonDocument.Parse(described.MustSucceed().Output);
            job.RootElement.GetProperty("job").GetProperty("attempt").GetInt32().ShouldBe(1, described.Output);
        }
    }

    /// <summary>The others take a paused one for dead meanwhile, and it finds that out when it goes on.</summary>
    [Fact]
    public async Task StoreAway_ThenAPausedScheduler_CostNoNodeAndNoRestart_AndNoScheduler()
    {
        await using var cluster = new LocalCluster { Schedulers = 2 };
        await cluster.InitializeAsync();
        var job = await cluster.SubmitAsync(JobFiles.LeNet("outlives", epochs: 40), Cancelled);
        await cluster.WaitAsync(job.Id, now => now.Progress?.Step > 20, Cancelled);
        var schedulers = new[] { cluster.ProcessId("scheduler"), cluster.ProcessId("scheduler-2") };

        await cluster.PostgresAsync("stop_postgres", Cancelled);
        await Task.Delay(TimeSpan.FromSeconds(20), Cancelled);
        await cluster.PostgresAsync("start_postgres", Cancelled);
        // The one that agents and clients talk to.
        await Processes.PauseAsync(schedulers[0], async () =>
        {
            (await cluster.RunAsync(["node", "list"], Cancelled)).MustSucceed();
            await Eventually.BeTrueAsync(IsTakenForDead, "the other takes it for dead", Cancelled);
        });

        (await cluster.RunAsync(["job", "watch", job.Id], Cancelled)).MustSucceed();
        string[] askIt = ["node", "list", "--server", cluster.GrpcAddress];
        await Eventually.BeTrueAsync(
            () => cluster.RunAsync(askIt, Cancelled).Result.ExitCode == 0, "the paused scheduler answers", Cancelled);
        schedulers.ShouldBeSubsetOf(Processes.With("/Cluster.Scheduler"));
        var described = await cluster.RunAsync(["job", "describe", job.Id, "--json"], Cancelled);
        using var json = JsonDocument.Parse(described.MustSucceed().Output);
        json.RootElement.GetProperty("job").GetProperty("attempt").GetInt32().ShouldBe(1, described.Output);

        // Orleans' word for dead is 6.
        bool IsTakenForDead()
        {
            const string dead = "pg_admin -d cluster -tAc 'select count(*) from orleans_members where status = 6'";
            return cluster.PostgresAsync(dead, Cancelled).Result.Output.Trim() == "1";
        }
    }
}
