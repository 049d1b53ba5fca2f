using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>An agent that is away for longer than its lease, while its trainers live on.</summary>
[Collection(typeof(FaultTests))]
public sealed class AgentFaultTests(ThreeSchedulers schedulers)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private LocalCluster Cluster => schedulers.Cluster;

    [Fact]
    public async Task AgentStoppedForLongerThanItsLease_IsFenced_AndItsTrainersEndBeforeItsDeviceIsGrantedAgain()
    {
        var job = await schedulers.StartAsync("agent-stopped", devices: 1);
        var node = (await schedulers.Client.GetAsync(job, Cancelled)).Placement.Single().NodeName;
        var fenced = Processes.TrainersOf(job).Single();

        await Processes.PauseAsync(Cluster.ProcessId(node), async () =>
        {
            // On the other node, while the first trainer still trains and nothing of it is taken.
            var elsewhere = await schedulers.Client.UntilAsync(
                job, now => now is { Attempt: 2, State: JobState.Running or JobState.Succeeded }, Cancelled);
            elsewhere.Placement.Single().NodeName.ShouldNotBe(node);
            Processes.CommandLine(fenced).ShouldContain(job, customMessage: "a trainer outlives a stopped agent");
        });

        var next = await schedulers.Client.SubmitAsync(DisturbedJob.Yaml("agent-back", epochs: 1, only: node), Cancelled);
        await schedulers.Client.UntilAsync(next, now => now.Placement.Count > 0, Cancelled);
        Processes.CommandLine(fenced).ShouldBeEmpty("the device was granted when the fenced trainer had ended");
        await schedulers.Client.SucceededAsync(next, Cancelled);
        (await schedulers.EndsUndisturbedAsync(job)).Attempt.ShouldBe(2);
    }
}
