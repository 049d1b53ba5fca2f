using System.Diagnostics.Metrics;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Telemetry;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>Running jobs give their devices to others, and lose as little as can be.</summary>
public sealed class PreemptionTests(PostgresServer postgres)
{
    // Time passes in steps of half of it.
    private static readonly TimeSpan LongLease = TimeSpan.FromMinutes(10);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>What the database refuses to one victim, as a broken row would.</summary>
    [Fact]
    public async Task Fault_OfOneVictim_LetsTheOthersBeStopped_AndWhoWasGivenDevicesStart()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 3);
        var (faulty, sound) = (await RunAsync(cluster, node, AJob()), await RunAsync(cluster, node, AJob()));
        await TestDatabase.ExecuteAsync(
            cluster, $"alter table attempts add constraint fault check (job_id <> '{faulty}' or state <> 'Ending')");

        var urgent = new List<JobId>();
        for (var i = 0; i < 3; i++)
            urgent.Add(await cluster.SubmitAsync(AJob().WithPriority(5)));
        await cluster.PassAsync();

        (await cluster.GetAsync(faulty)).State.ShouldBe(JobState.Running);
        (await cluster.GetAsync(sound)).State.ShouldBe(JobState.Stopping);
        urgent.Select(job => job.ToString()).ShouldContain(cluster.Agents.Launches[^1].Request.JobId);
        await TestDatabase.ExecuteAsync(cluster, "alter table attempts drop constraint fault");
        await cluster.PassAsync();
        (await cluster.GetAsync(faulty)).State.ShouldBe(JobState.Stopping);
    }

    /// <summary>The example of docs/queue.md, with CPU devices.</summary>
    [Fact]
    public async Task OwedQuota_IsReclaimed_FromThoseThatLoseLeast_WhichGoOnFromTheirCheckpoints()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 8);
        await TestQueues.CreateAsync(cluster, "research", quota: 4);
        await TestQueues.CreateAsync(cluster, "product", quota: 4);
        var large = await RunAsync(cluster, node, AJob().In("research").WithDevices(4));
        var left = await RunAsync(cluster, node, AJob().In("research").WithDevices(2).WithRestarts(0));
        var right = await RunAsync(cluster, node, AJob().In("research").WithDevices(2));
        await CommitAsync(cluster, large);
        await PassAsync(cluster, node, TimeSpan.FromMinutes(20));
        await CommitAsync(cluster, right);
        await PassAsync(cluster, node, TimeSpan.FromMinutes(5));
        await CommitAsync(cluster, left);
        await PassAsync(cluster, node, TimeSpan.FromMinutes(5));

        var owed = await cluster.SubmitAsync(AJob().In("product").WithDevices(4));
        await cluster.PassAsync();

        // Decided and told without any time between.
        var stopping = await cluster.GetAsync(left);
        stopping.State.ShouldBe(JobState.Stopping);
        stopping.Reason.ShouldBe(
            $"preempted for job {owed}, whose queue is within its quota while this one is beyond its own: "
            + "10.0 device-minutes of work are lost at most");
        (stopping.LastPreemption.ForJobId, stopping.LastPreemption.HasLostDeviceSeconds).ShouldBe((owed.ToString(), false));
        (await cluster.GetAsync(right)).State.ShouldBe(JobState.Stopping);
        (await cluster.GetAsync(large)).State.ShouldBe(JobState.Running, "it would lose most");
        cluster.Agents.Stops.Select(stop => (stop.Request.JobId, stop.Request.Grace.ToTimeSpan())).ShouldBe(
            [(left.ToString(), new PlacementOptions().PreemptionGrace), (right.ToString(), new PlacementOptions().PreemptionGrace)],
            ignoreOrder: true);
        var waiting = await cluster.GetAsync(owed);
        (waiting.ReasonCode, waiting.Reason).ShouldBe((
            "waiting_for_release", "waits until jobs have released the 4 devices that it is promised"));

        await PassAsync(cluster, node, TimeSpan.FromSeconds(10));
        await CommitAsync(cluster, left, step: 9);
        await PassAsync(cluster, node, TimeSpan.FromSeconds(5));
        await ExitAsync(node, left, 2);
        await cluster.ReconcileAsync();
        // What is free already is kept for it, and nobody more is stopped.
        var queued = await cluster.GetAsync(left);
        (queued.State, queued.Restarts, queued.ReasonCode).ShouldBe((JobState.Queued, 0, "waiting_for_turn"), queued.Reason);
        (queued.Preemptions, queued.LostDeviceSeconds, queued.LastPreemption.LostDeviceSeconds).ShouldBe((1, 2 * 5, 2 * 5));
        (await cluster.GetAsync(large)).State.ShouldBe(JobState.Running);
        await ExitAsync(node, right, 2);
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(owed)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(right)).LastPreemption.LostDeviceSeconds.ShouldBe(2 * (10 * 60 + 15));
        (await cluster.GetAsync(large)).State.ShouldBe(JobState.Running, "those that were stopped do not ask for their devices back");
        cluster.Agents.Stops.Select(stop => stop.Request.JobId).Distinct().Count().ShouldBe(2);

        for (var rank = 0; rank < 4; rank++)
            await node.ExitAsync(owed, 1, rank, TrainerExit.Done);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(left)).Reason.ShouldEndWith(", from the checkpoint at step 9");
    }

    [Fact]
    public async Task HigherPriority_PreemptsInItsQueue_AndTheVictimNeverPreemptsItInTurn()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync();
        var lower = await RunAsync(cluster, node, AJob());
        var urgent = await cluster.SubmitAsync(AJob().WithPriority(1));
        await cluster.PassAsync();
        (await cluster.GetAsync(lower)).Reason.ShouldStartWith(
            $"preempted for job {urgent}, which has a higher priority in the same queue: ");

        await node.ExitAsync(lower, 1, 0, TrainerExit.Stopped);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(urgent)).State.ShouldBe(JobState.Starting);

        // Though it comes before it now.
        await cluster.Job(lower).UpdateAsync(new UpdateJob(null, 2));
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(urgent)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(lower)).ReasonCode.ShouldBe("waiting_for_devices");
    }

    [Fact]
    public async Task MinRuntime_IsKept_AndNoLonger()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync();
        var young = await RunAsync(
            cluster, node, AJob().With(spec => spec.MinRuntime = Duration.FromTimeSpan(TimeSpan.FromMinutes(20))));
        await cluster.SubmitAsync(AJob().WithPriority(1));

        await PassAsync(cluster, node, TimeSpan.FromMinutes(15));
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(young)).State.ShouldBe(JobState.Running);

        await PassAsync(cluster, node, TimeSpan.FromMinutes(6));
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(young)).State.ShouldBe(JobState.Stopping);
    }

    [Fact]
    public async Task Victim_WhoseRowIsBeingWritten_IsNotWaitedFor_AndIsToldInTheNextCycle()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync();
        var lower = await RunAsync(cluster, node, AJob());
        await cluster.SubmitAsync(AJob().WithPriority(1));
        await using (var other = new NpgsqlConnection(cluster.ConnectionString + ";Pooling=false"))
        {
            await other.OpenAsync(Token);
            await using var hold = new NpgsqlCommand($"begin; select 1 from job_queue where job_id = '{lower}' for update", other);
            await hold.ExecuteNonQueryAsync(Token);
            // A cycle that waited for the row would do so without end.
            await cluster.PassAsync().WaitAsync(TimeSpan.FromMinutes(1), Token);
            (await cluster.GetAsync(lower)).State.ShouldBe(JobState.Running);
            await using var letGo = new NpgsqlCommand("rollback", other);
            await letGo.ExecuteNonQueryAsync(Token);
        }

        await cluster.PassAsync();

        (await cluster.GetAsync(lower)).State.ShouldBe(JobState.Stopping);
    }

    /// <summary>It was done before it heard that it should stop.</summary>
    [Fact]
    public async Task Victim_ThatIsDone_HasSucceededAndLostNothing()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync();
        var lower = await RunAsync(cluster, node, AJob());
        await cluster.SubmitAsync(AJob().WithPriority(1));
        await cluster.PassAsync();

        await node.ExitAsync(lower, 1, 0, TrainerExit.Done);

        var done = await cluster.GetAsync(lower);
        (done.State, done.LastPreemption.LostDeviceSeconds).ShouldBe((JobState.Succeeded, 0));
    }

    [Fact]
    public async Task LostDeviceSeconds_AreCounted_ByQueue()
    {
        var lost = new System.Collections.Concurrent.ConcurrentBag<(double Lost, string Queue)>();
        // Made before anybody listens: the listener is called while the others are made.
        Instrument counter = SchedulerTelemetry.PreemptionLost;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument == counter)
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((_, value, tags, _) => lost.Add((value, (string)tags[0].Value!)));
        listener.Start();
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync();
        await TestQueues.CreateAsync(cluster, "counted", quota: 1);
        var lower = await RunAsync(cluster, node, AJob().In("counted"));
        await PassAsync(cluster, node, TimeSpan.FromSeconds(60));
        await cluster.SubmitAsync(AJob().In("counted").WithPriority(1));
        await cluster.PassAsync();

        await node.ExitAsync(lower, 1, 0, TrainerExit.Stopped);

        // Other tests' queues have other names.
        lost.Where(each => each.Queue == "counted").ShouldBe([(60, "counted")]);
    }

    private static async Task<JobId> RunAsync(TestCluster cluster, TestNode node, JobSpecBuilder job)
    {
        var id = await cluster.SubmitAsync(job);
        await cluster.RunAsync(id, job.Build().Resources.Devices);
        node.Running.Add(new AttemptKey(id, 1));
        return id;
    }

    private static Task<Guid> CommitAsync(TestCluster cluster, JobId job, long step = 1) => cluster.Get<CheckpointStore>().CommitAsync(
        cluster.Credential(job, 1), new CheckpointManifest { Kind = ArtifactKind.Weights, Step = step }, 1, Token);

    private static async Task ExitAsync(TestNode node, JobId job, int ranks)
    {
        node.Running.Remove(new AttemptKey(job, 1));
        for (var rank = 0; rank < ranks; rank++)
            await node.ExitAsync(job, 1, rank, TrainerExit.Stopped);
    }

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
