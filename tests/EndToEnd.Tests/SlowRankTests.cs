using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;

namespace Cluster.EndToEnd.Tests;

/// <summary>A rank that is slow for long: people are told which, though all steps are equally long.</summary>
public sealed class SlowRankTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>It stands still two thirds of the time, a little at a time: no step hangs for that.</summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task RankThatIsSlowForLong_IsNamedInTheJobsState()
    {
        using var client = new PatientClient(cluster, cluster.GrpcAddress);
        var job = await client.SubmitAsync(DisturbedJob.Yaml("slow", epochs: 100_000, devices: 2, batchSize: 512), Cancelled);
        await client.UntilAsync(job, now => now.Progress?.Step > 0, Cancelled);
        var trainer = Processes.With($"trainer --job {job} --attempt 1 --rank 1").ShouldHaveSingleItem();

        using var named = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var slowing = SlowDownAsync(trainer, named.Token);
        var slow = await client.UntilAsync(job, now => now.ReasonCode == "straggler", Cancelled);
        await named.CancelAsync();
        await slowing;
        await cluster.Jobs.CancelJobAsync(new CancelJobRequest { JobId = job }, cancellationToken: Cancelled);
        await client.UntilAsync(job, now => now.State == JobState.Cancelled, Cancelled);

        slow.State.ShouldBe(JobState.Running);
        slow.Reason.ShouldContain("; rank 1 on worker-");
        slow.Reason.ShouldContain(" is slow: a step takes it ");
        slow.Attempt.ShouldBe(1);
    }

    private static async Task SlowDownAsync(int process, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            await Processes.PauseAsync(process, () => Task.Delay(TimeSpan.FromMilliseconds(60), CancellationToken.None));
            await Task.Delay(TimeSpan.FromMilliseconds(30), CancellationToken.None);
        }
    }
}
