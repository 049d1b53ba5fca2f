using System.Diagnostics.Metrics;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Telemetry;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Placement;

public sealed class PlacementGrainTests(PostgresServer postgres)
{
    [Fact]
    public async Task Waiting_HasAPlaceInLine_AReasonAndItsCode()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var failing = await cluster.SubmitAsync(AJob().WithPriority(9));
        await cluster.RunAsync(failing);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var gang = await cluster.SubmitAsync(AJob().WithDevices(2));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var later = await cluster.SubmitAsync();
        var urgent = await cluster.SubmitAsync(AJob().WithDevices(3).WithPriority(1), waitForCapacity: true);
        await cluster.ReconcileAsync();

        await CheckAsync(urgent, 1, "infeasible");
        await CheckAsync(gang, 2, "waiting_for_devices");
        await CheckAsync(later, 3, "waiting_for_turn");
        (await cluster.GetAsync(failing)).ReasonCode.ShouldBeEmpty("it does not wait");

        await node.ExitAsync(failing, 1, 0, exitCode: 1);
        await cluster.ReconcileAsync();
        await CheckAsync(failing, null, "backing_off");
        (await cluster.GetAsync(failing)).Reason
            .ShouldStartWith("waits until 00:00:07 UTC after a failure: rank 0 on node-a (cpu:0) exited");
        await CheckAsync(gang, 2, "waiting_for_turn");

        async Task CheckAsync(JobId id, int? position, string code)
        {
            var job = await cluster.GetAsync(id);
            (job.Queue?.Position, job.ReasonCode).ShouldBe((position, code), job.Reason);
        }
    }

    [Fact]
    public async Task Job_ThatWasQueuedSinceTheLastCycle_WaitsForWhatItsLikeDo()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        await cluster.RunAsync(await cluster.SubmitAsync());
        var first = await cluster.SubmitAsync();
        (await cluster.GetAsync(first)).Reason.ShouldBe("submitted by alice");
        await cluster.ReconcileAsync();
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var second = await cluster.SubmitAsync();

        var waiting = await cluster.GetAsync(second);
        waiting.Reason.ShouldBe("needs 1 cpu device; the one that it could use is not free");
        waiting.Queue.Position.ShouldBe(2);
    }

    [Fact]
    public async Task Reasons_ThatNobodyHasAnyMore_Go()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await cluster.SubmitAsync(waitForCapacity: true);
        var other = await cluster.SubmitAsync(AJob().WithDevices(2), waitForCapacity: true);
        await cluster.ReconcileAsync();
        (await TestDatabase.CountAsync(cluster, "waiting_reasons")).ShouldBe(2);

        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
        await cluster.ReconcileAsync();

        (await TestDatabase.CountAsync(cluster, "waiting_reasons")).ShouldBe(1);
        (await TestDatabase.CountAsync(cluster, "placement_changes")).ShouldBe(0);
        (await cluster.GetAsync(other)).ReasonCode.ShouldBe("infeasible");
    }

    /// <summary>What the database refuses to one job, as a broken row would.</summary>
    [Fact]
    public async Task Fault_OfOneJob_LetsTheOthersStart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 3);
        var faulty = await cluster.SubmitAsync(AJob().WithPriority(5));
        var (second, third) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        await TestDatabase.ExecuteAsync(cluster, $"alter table attempts add constraint fault check (job_id <> '{faulty}')");

        await cluster.ReconcileAsync();

        (await cluster.GetAsync(faulty)).State.ShouldBe(JobState.Queued);
        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(third)).State.ShouldBe(JobState.Starting);

        await TestDatabase.ExecuteAsync(cluster, "alter table attempts drop constraint fault");
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(faulty)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Row_ThatCannotBeRead_KeepsNoOtherFromStarting()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var broken = await cluster.SubmitAsync(AJob().WithPriority(5));
        var sound = await cluster.SubmitAsync();
        await TestDatabase.ExecuteAsync(cluster, $"update job_queue set node_labels = '[]' where job_id = '{broken}'");

        await cluster.ReconcileAsync();

        (await cluster.GetAsync(sound)).State.ShouldBe(JobState.Starting);
    }

    /// <summary>It keeps what it holds; that it may shrink is not known while its row cannot be read.</summary>
    [Fact]
    public async Task RowOfARunningJob_ThatCannotBeRead_KeepsNoOtherFromStarting()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 3);
        var broken = await cluster.SubmitAsync(AJob().WithDevices(2).With(spec =>
        {
            spec.Resources.MinDevices = 1;
            spec.Mesh = new MeshSpec { Data = 2, Model = 1, Pipeline = 1 };
        }));
        await cluster.RunAsync(broken, ranks: 2);
        await TestDatabase.ExecuteAsync(cluster, $"update job_queue set node_labels = '[]' where job_id = '{broken}'");

        JobId[] others = [await cluster.SubmitAsync(), await cluster.SubmitAsync()];
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(broken)).State.ShouldBe(JobState.Running);
        // Of one age: which of them comes first is chance.
        (await Task.WhenAll(others.Select(cluster.GetAsync))).Select(job => job.State)
            .ShouldBe([JobState.Starting, JobState.Queued], ignoreOrder: true);
    }

    [Fact]
    public async Task Cycle_AfterAnOutageOfTheStore_GoesOnFromWhatItKnows()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var placement = cluster.Grains.GetGrain<Scheduler.Placement.IPlacementGrain>(0);
        await cluster.SubmitAsync();
        await placement.RunCycleAsync();
        using var statements = new Statements(cluster.ConnectionString);

        await using (await DatabaseOutage.BeginAsync(cluster.ConnectionString))
            await Should.ThrowAsync<StoreUnavailableException>(placement.RunCycleAsync);
        var job = await cluster.SubmitAsync();
        await placement.RunCycleAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        statements.All.ShouldContain(text => text.Contains("update placement_keeper"));
        statements.All.ShouldNotContain(text => text.Contains("insert into placement_keeper"));
    }

    /// <summary>Each takes over from the other, and neither gives out what the other has given.</summary>
    [Fact]
    public async Task TwoPlacements_InTurn_BothSeeWhatTheOtherHasDone()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        await using var second = await TestCluster.StartAsync(
            first.ConnectionString, first.Time, first.Agents, TestCluster.ClusteredApart);
        await first.AddNodeAsync(devices: 3);
        foreach (var cluster in new[] { first, second, first })
        {
            var job = await cluster.SubmitAsync();
            await cluster.Grains.GetGrain<Scheduler.Placement.IPlacementGrain>(0).RunCycleAsync();
            (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        }

        var last = await second.SubmitAsync();
        await second.Grains.GetGrain<Scheduler.Placement.IPlacementGrain>(0).RunCycleAsync();
        await second.Grains.GetGrain<Scheduler.Placement.IPlacementGrain>(0).TellAsync();
        (await second.GetAsync(last)).Reason.ShouldBe("needs 1 cpu device; none of the 3 that it could use is free");
    }

    [Fact]
    public void Gauge_CountsWaitingJobsByReason()
    {
        var (mine, counted, oldest) = (Environment.CurrentManagedThreadId, new Dictionary<string, int>(), new Dictionary<string, double>());
        // Made before anybody listens: the listener is called while the others are made.
        Instrument[] gauges = [SchedulerTelemetry.WaitingJobs, SchedulerTelemetry.OldestWaiting];
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (gauges.Contains(instrument))
                self.EnableMeasurementEvents(instrument);
        };
        // Other tests' placements count on other threads.
        listener.SetMeasurementEventCallback<int>((_, jobs, tags, _) =>
        {
            if (Environment.CurrentManagedThreadId == mine)
                counted[$"{tags[0].Value} {tags[1].Value}"] = jobs;
        });
        listener.SetMeasurementEventCallback<double>((_, age, tags, _) =>
        {
            if (Environment.CurrentManagedThreadId == mine)
                oldest[(string)tags[1].Value!] = age;
        });
        listener.Start();

        WaitingShape[] waiting =
            [Waits("a", WaitCause.Infeasible, 2), Waits("b", WaitCause.WaitingForTurn, 3), Waits("c", WaitCause.WaitingForTurn, 4)];
        var (ages, gauge, now) = (new WaitingAges(), new QueueGauge(), DateTimeOffset.UnixEpoch);
        var awaited = new WaitingJob(
            new JobKey(Guid.NewGuid()), QueueKey.Default, new DeviceNeed(1, null, 0, new Dictionary<string, string>(), "", default), 0,
            now - TimeSpan.FromSeconds(7), null, new HashSet<NodeKey>());
        ages.Await(awaited, "waiting_for_forecast");

        var backingOff = new Dictionary<QueueKey, int> { [QueueKey.Default] = 1, [new QueueKey("research")] = 5 };
        gauge.Record(new PlacementPlan([], [.. waiting], backingOff), ages, now);

        counted.Select(count => $"{count.Key} {count.Value}").ShouldBe(
            [
                "default infeasible 2", "default waiting_for_turn 7", "default backing_off 1", "research backing_off 5",
                "default waiting_for_forecast 1",
            ], ignoreOrder: true);
        oldest["waiting_for_forecast"].ShouldBe(7);
        ages.Apply(new ClusterChange.JobEnded(awaited.Id));
        gauge.Record(new PlacementPlan([], [waiting[1]], new Dictionary<QueueKey, int>()), ages, now);
        counted.Where(count => count.Value > 0).Select(count => $"{count.Key} {count.Value}").ShouldBe(["default waiting_for_turn 3"]);
        gauge.Clear();
        counted.Values.ShouldAllBe(jobs => jobs == 0);

        static WaitingShape Waits(string shape, WaitCause cause, int jobs) =>
            new(QueueKey.Default, shape, new WaitReason(cause, ""), jobs);
    }
}
