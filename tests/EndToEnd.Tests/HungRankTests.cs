using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;

namespace Cluster.EndToEnd.Tests;

/// <summary>A rank that stands still: people see which while they wait, and the job goes on when it does.</summary>
public sealed class HungRankTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Its peer waits for it for a minute before it gives up.</summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task RankThatStandsStill_IsNamedInTheJobsState_AndItGoesOnWithIt()
    {
        using var client = new PatientClient(cluster.GrpcAddress, cluster.Token);
        var job = await client.SubmitAsync(DisturbedJob.Yaml("stands-still", epochs: 40, devices: 2), Cancelled);
        await client.UntilAsync(job, now => now.Progress?.Step > 20, Cancelled);
        var trainer = Processes.With($"trainer --job {job} --attempt 1 --rank 1").ShouldHaveSingleItem();

        Job? hung = null;
        await Processes.PauseAsync(
            trainer, async () => hung = await client.UntilAsync(job, now => now.ReasonCode == "hung", Cancelled));
        var done = await client.SucceededAsync(job, Cancelled);

        hung!.State.ShouldBe(JobState.Running);
        hung.Reason.ShouldContain(" hangs: rank 1 on worker-");
        hung.Reason.ShouldContain("says nothing; rank 0 waits in ");
        (done.Attempt, done.Restarts).ShouldBe((1, 0));
    }
}
