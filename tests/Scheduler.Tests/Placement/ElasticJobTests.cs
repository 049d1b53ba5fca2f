using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>Jobs whose devices become fewer when others are owed them, and more when they are idle.</summary>
public sealed class ElasticJobTests(PostgresServer postgres)
{
    // Time passes in steps of half of it.
    private static readonly TimeSpan LongLease = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan BetweenResizes = new PlacementOptions().BetweenResizes;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static JobSpecBuilder AnElasticJob => AJob().WithDevices(4).With(spec =>
    {
        spec.Resources.MinDevices = 1;
        spec.Mesh = new MeshSpec { Data = 4, Model = 1, Pipeline = 1 };
    });

    [Fact]
    public async Task ElasticJob_StartsWithWhatThereIs_AndItsMeshIsItsAttempts()
    {
        await using var cluster = await StartAsync();
        await cluster.AddNodeAsync(devices: 3);

        var job = await cluster.SubmitAsync(AnElasticJob);
        await cluster.RunAsync(job, ranks: 3);

        var launch = cluster.Agents.Launches.ShouldHaveSingleItem().Request;
        (launch.WorldSize, launch.Spec.Resources.Devices, launch.Spec.Mesh.Data).ShouldBe((3, 3, 3));
        var running = await cluster.GetAsync(job);
        (running.Spec.Resources.Devices, running.Spec.Mesh.Data, running.LastResize).ShouldBe((4, 4, null));
        (await EventsAsync(cluster, job))[^2].Reason.ShouldStartWith("attempt 1 with 3 of 1 to 4 devices on node-a (cpu:0), ");
    }

    [Fact]
    public async Task HigherPriority_ShrinksIt_ByNoMoreThanNeeded_AndItGoesOnFromItsCheckpoint()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 4);
        var job = await RunAsync(cluster, node, AnElasticJob.WithRestarts(0), ranks: 4);
        var urgent = await cluster.SubmitAsync(AJob().WithPriority(1));
        await cluster.PassAsync();

        var stopping = await cluster.GetAsync(job);
        var why = $"shrinks from 4 devices to 3 for job {urgent}, which has a higher priority in the same queue";
        (stopping.State, stopping.Reason, stopping.Preemptions).ShouldBe((JobState.Stopping, why, 0));
        var stop = cluster.Agents.Stops.ShouldHaveSingleItem().Request;
        (stop.Reason, stop.Grace.ToTimeSpan()).ShouldBe((why, new PlacementOptions().PreemptionGrace));
        (await cluster.GetAsync(urgent)).ReasonCode.ShouldBe("waiting_for_release");

        await CommitAsync(cluster, job, attempt: 1, step: 9);
        await ExitAsync(node, job, attempt: 1, ranks: 4);
        await cluster.ReconcileAsync();

        var started = await cluster.GetAsync(job);
        (started.State, started.Attempt, started.Restarts, started.Placement.Count).ShouldBe((JobState.Starting, 2, 0, 3));
        started.Reason.ShouldEndWith(", from the checkpoint at step 9");
        (await cluster.GetAsync(urgent)).State.ShouldBe(JobState.Starting);
        (started.LastResize.Attempt, started.LastResize.FromDevices, started.LastResize.ToDevices).ShouldBe((1, 4, 3));
        (started.LastResize.ForJobId, started.LastResize.Reason).ShouldBe((urgent.ToString(), why));
        (await EventsAsync(cluster, job)).Select(happened => (happened.ToState, happened.Reason))
            .ShouldContain((JobState.Stopping, why));
    }

    /// <summary>It is told to give up one of four, and not the others.</summary>
    [Fact]
    public async Task WhoShrinks_KeepsItsPlaceOnTheDevicesThatItIsNotToGiveUp()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 4);
        var job = await RunAsync(cluster, node, AnElasticJob, ranks: 4);
        var urgent = await cluster.SubmitAsync(AJob().WithPriority(1));
        await cluster.PassAsync();
        // It comes before the elastic job, and after the one that is promised a device.
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var later = await cluster.SubmitAsync(AJob().WithPriority(1));
        await ExitAsync(node, job, attempt: 1, ranks: 4);
        await cluster.PassAsync();

        (await cluster.GetAsync(urgent)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(job)).Placement.Count.ShouldBe(3);
        (await cluster.GetAsync(later)).State.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task IdleDevices_AreGivenToIt_NoOftenerThanAllowed_AndThatIsNoRestart()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 2);
        var other = await RunAsync(cluster, node, AJob(), ranks: 1);
        var job = await RunAsync(cluster, node, AnElasticJob.WithRestarts(0), ranks: 1);
        await node.ExitAsync(other, 1, 0, TrainerExit.Done);
        node.Running.Remove(new AttemptKey(other, 1));
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running, "its devices have not been its own for long");

        await PassAsync(cluster, node, BetweenResizes);
        await cluster.ReconcileAsync();
        const string why = "grows from 1 device to 2, since others are idle and nobody waits for them";
        var stopping = await cluster.GetAsync(job);
        (stopping.State, stopping.Reason, stopping.LastResize.ForJobId).ShouldBe((JobState.Stopping, why, ""));

        await ExitAsync(node, job, attempt: 1, ranks: 1);
        await cluster.ReconcileAsync();
        await cluster.RunAsync(job, ranks: 2);

        var running = await cluster.GetAsync(job);
        (running.Attempt, running.Restarts, running.Placement.Count).ShouldBe((2, 0, 2));
        (running.LastResize.FromDevices, running.LastResize.ToDevices, running.LastResize.Reason).ShouldBe((1, 2, why));
        (await cluster.GetAsync(job)).Preemptions.ShouldBe(0);
    }

    [Fact]
    public async Task WhoIsPausedWhileItGrows_HasNoClaimToTheDevicesOnceItIsResumed()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 2);
        var other = await RunAsync(cluster, node, AJob(), ranks: 1);
        var job = await RunAsync(cluster, node, AnElasticJob, ranks: 1);
        await node.ExitAsync(other, 1, 0, TrainerExit.Done);
        node.Running.Remove(new AttemptKey(other, 1));
        await PassAsync(cluster, node, BetweenResizes);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);

        await cluster.Job(job).PauseAsync(new PauseJob("bob", ""));
        await ExitAsync(node, job, attempt: 1, ranks: 1);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Paused);
        var gang = await cluster.SubmitAsync(AJob().WithDevices(2).WithPriority(1));
        await cluster.Job(job).ResumeAsync("bob");
        await cluster.PassAsync();

        (await cluster.GetAsync(gang)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Queued);
    }

    /// <summary>What is learnt of one that ran on one of four devices holds for four: it took a quarter of the time there.</summary>
    [Fact]
    public async Task Runtime_OfWhoRanWithFewDevices_IsLearntAsWithAll_AndHoldsForThoseThatAskForAll()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync();
        var first = await RunAsync(cluster, node, AnElasticJob, ranks: 1);
        await PassAsync(cluster, node, TimeSpan.FromSeconds(400));
        await node.ExitAsync(first, 1, 0, TrainerExit.Done);

        var (elastic, fixedOne) = (
            await cluster.SubmitAsync(AnElasticJob, waitForCapacity: true),
            await cluster.SubmitAsync(AnElasticJob.With(spec => spec.Resources.MinDevices = 0), waitForCapacity: true));
        var waiting = (await cluster.Get<PlacementStore>().TakeOverAsync(Guid.NewGuid(), Token)).Changes
            .OfType<ClusterChange.JobQueued>().ToDictionary(change => change.Job.Id, change => change.Job);

        waiting[elastic.Key()].Runtime!.Likely.TotalSeconds.ShouldBe(100, 0.01);
        waiting[fixedOne.Key()].Runtime!.Likely.TotalSeconds.ShouldBe(100, 0.01);
        (waiting[elastic.Key()].Need.MinDevices, waiting[fixedOne.Key()].Need.MinDevices).ShouldBe((1, 0));
    }

    [Fact]
    public async Task MemoryOfARank_IsThatWithTheFewestDevices_WhoseSlicesAreLargest()
    {
        await using var cluster = await StartAsync();
        await cluster.AddNodeAsync(devices: 4);
        await cluster.Get<MemoryForecast>().OfAsync(
            AnElasticJob.With(spec => spec.Hyperparameters.GlobalBatchSize = 64).Build(), Token);

        cluster.Agents.Descriptions.ShouldHaveSingleItem().Queries.ShouldHaveSingleItem().RankBatchSize.ShouldBe(64);
    }

    private static async Task<JobId> RunAsync(TestCluster cluster, TestNode node, JobSpecBuilder job, int ranks)
    {
        var id = await cluster.SubmitAsync(job);
        await cluster.RunAsync(id, ranks);
        node.Running.Add(new AttemptKey(id, 1));
        return id;
    }

    private static Task<Guid> CommitAsync(TestCluster cluster, JobId job, int attempt, long step) =>
        cluster.Get<CheckpointStore>().CommitAsync(
            cluster.Credential(job, attempt), new CheckpointManifest { Kind = ArtifactKind.Weights, Step = step }, 1, Token);

    private static async Task ExitAsync(TestNode node, JobId job, int attempt, int ranks)
    {
        node.Running.Remove(new AttemptKey(job, attempt));
        for (var rank = 0; rank < ranks; rank++)
            await node.ExitAsync(job, attempt, rank, TrainerExit.Stopped);
    }

    private static Task<IReadOnlyList<JobEvent>> EventsAsync(TestCluster cluster, JobId job) =>
        cluster.Get<JobQueries>().EventsAsync(job, 0, Token);

    private Task<TestCluster> StartAsync() => TestCluster.StartAsync(
        postgres, services => services.Configure<NodeOptions>(options => options.LeaseDuration = LongLease));

    /// <summary>Time passes, and the node lives.</summary>
    private static async Task PassAsync(TestCluster cluster, TestNode node, TimeSpan time)
    {
        for (var left = time; left > TimeSpan.Zero; left -= LongLease / 2)
        {
            cluster.Time.Advance(left < LongLease / 2 ? left : LongLease / 2);
            await node.HeartbeatAsync();
        }
    }
}
