using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;

namespace Cluster.EndToEnd.Tests;

/// <summary>A person puts a job aside, and takes it up again.</summary>
public sealed class PausedJobTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Another job takes all devices meanwhile: the same one, which nobody disturbs.</summary>
    [Fact]
    public async Task PausedJob_HoldsNothing_AndGoesOnBitIdentically()
    {
        using var client = new PatientClient(cluster, cluster.GrpcAddress);
        var paused = await client.SubmitAsync(DisturbedJob.Yaml("to-be-paused", epochs: 40, devices: 2), Cancelled);
        await client.UntilAsync(paused, job => job.Progress?.Step > 0, Cancelled);

        await cluster.Jobs.PauseJobAsync(new PauseJobRequest { JobId = paused, Reason = "the other first" }, cancellationToken: Cancelled);
        var waiting = await client.UntilAsync(paused, job => job.State == JobState.Paused, Cancelled);
        Processes.TrainersOf(paused).ShouldBeEmpty();
        var other = await client.SubmitAsync(DisturbedJob.Yaml("undisturbed", epochs: 40, devices: 2), Cancelled);
        await client.SucceededAsync(other, Cancelled);
        (await client.GetAsync(paused, Cancelled)).ShouldBe(waiting);
        await cluster.Jobs.ResumeJobAsync(new ResumeJobRequest { JobId = paused }, cancellationToken: Cancelled);
        var done = await client.SucceededAsync(paused, Cancelled);

        waiting.Reason.ShouldEndWith(": the other first");
        (done.Attempt, done.Restarts).ShouldBe((2, 0));
        var undisturbed = await RunBits.OfAsync(client, other, Cancelled);
        (await RunBits.OfAsync(client, paused, Cancelled)).ShouldBe(undisturbed, "a pause leaves the bits");
    }
}
