using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>A person puts a job aside, and takes it up again.</summary>
public sealed class PauseTests(PostgresServer postgres)
{
    private static readonly PauseJob ByBob = new("bob", "the demo is first");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pause_WhenQueued_IsDoneAtOnce_AndLastsOverASchedulersRestart()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        var job = await first.SubmitAsync();

        (await first.Job(job).PauseAsync(ByBob)).ShouldBeTrue();
        (await first.Job(job).PauseAsync(new PauseJob("olga", ""))).ShouldBeTrue("it is paused already");
        await first.DisposeAsync();
        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        await node.ConnectedTo(second).RegisterAsync();
        await second.ReconcileAsync();

        var paused = await second.GetAsync(job);
        (paused.State, paused.Reason, paused.Queue).ShouldBe((JobState.Paused, "paused by bob: the demo is first", null));
        (await second.Job(job).ResumeAsync("olga")).ShouldBeTrue();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Queued);
        await second.ReconcileAsync();
        (await second.GetAsync(job)).State.ShouldBe(JobState.Starting);
        (await second.StatesAsync(job)).ShouldBe([JobState.Queued, JobState.Paused, JobState.Queued, JobState.Starting]);
    }

    [Fact]
    public async Task Pause_WhileItTrains_ReleasesItsDevicesOnceEveryTrainerHasEnded_WithoutARestart()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2).WithRestarts(0));
        await cluster.RunAsync(job, ranks: 2);
        var other = await cluster.SubmitAsync(AJob().WithDevices(2));

        (await cluster.Job(job).PauseAsync(ByBob)).ShouldBeTrue();
        await cluster.ReconcileAsync();
        var stopping = await cluster.GetAsync(job);
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);
        await node.ExitAsync(job, 1, 1, TrainerExit.Stopped);
        await cluster.ReconcileAsync();

        (stopping.State, stopping.Reason).ShouldBe((JobState.Stopping, "paused by bob: the demo is first"));
        var stop = cluster.Agents.Stops.ShouldHaveSingleItem().Request;
        (stop.Grace.ToTimeSpan(), stop.Reason).ShouldBe((new JobOptions().CancelGrace, "paused by bob: the demo is first"));
        var paused = await cluster.GetAsync(job);
        (paused.State, paused.Reason, paused.Restarts).ShouldBe((JobState.Paused, "paused by bob: the demo is first", 0));
        (await cluster.GetAsync(other)).State.ShouldBe(JobState.Starting);
    }

    /// <summary>What could not write its checkpoint in time goes on from the one before.</summary>
    [Fact]
    public async Task Pause_WhoseGraceEndsBeforeTheCheckpoint_CostsNoRestartEither()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().WithRestarts(0));
        await cluster.RunAsync(job);
        await cluster.Job(job).PauseAsync(ByBob);

        await node.ExitAsync(job, 1, 0, exitCode: 0, signal: 9);
        await cluster.Job(job).ResumeAsync("bob");
        await cluster.ReconcileAsync();

        var again = await cluster.GetAsync(job);
        (again.State, again.Attempt, again.Restarts).ShouldBe((JobState.Starting, 2, 0));
    }

    [Fact]
    public async Task Pause_AfterTheLastStep_IsSuccess()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        await cluster.Job(job).PauseAsync(ByBob);

        await node.ExitAsync(job, 1, 0, TrainerExit.Done);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Succeeded);
        (await cluster.Job(job).ResumeAsync("bob")).ShouldBeFalse();
    }

    [Fact]
    public async Task Pause_BetweenGrantAndLaunch_IsDoneAtOnceWithoutCallingAnyAgent()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Grains.GetGrain<IPlacementGrain>(0).RunCycleAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);

        await cluster.Job(job).PauseAsync(ByBob);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Paused);
        cluster.Agents.Launches.ShouldBeEmpty();
        cluster.Agents.Stops.ShouldBeEmpty();
    }

    [Fact]
    public async Task Resume_PutsItBackIntoTheQueueWithItsAge()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var running = await cluster.SubmitAsync();
        await cluster.RunAsync(running);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var older = await cluster.SubmitAsync();
        await cluster.Job(older).PauseAsync(ByBob);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var younger = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();

        await cluster.Job(older).ResumeAsync("bob");
        await node.ExitAsync(running, 1, 0, TrainerExit.Done);
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(older)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(younger)).State.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task Resume_DuringABackoffThatBeganBefore_WaitsForNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 1);
        (await cluster.GetAsync(job)).ReasonCode.ShouldBe("backing_off");

        await cluster.Job(job).PauseAsync(ByBob);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Paused);
        await cluster.Job(job).ResumeAsync("bob");
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Resume_BeforeItsTrainersHaveEnded_QueuesItOnceTheyHave()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        await cluster.Job(job).PauseAsync(ByBob);

        (await cluster.Job(job).ResumeAsync("olga")).ShouldBeTrue();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);

        (await cluster.StatesAsync(job)).ShouldBe(
            [JobState.Queued, JobState.Starting, JobState.Running, JobState.Stopping, JobState.Queued]);
    }

    [Fact]
    public async Task Pause_OfAJobThatIsBeingEvicted_Pauses()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        (await cluster.Get<NodeStore>().SetDrainAsync(node.Id, new Drain { By = "olga" }, Token)).ShouldBeTrue();
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Stopping);

        await cluster.Job(job).PauseAsync(ByBob);
        await node.ExitAsync(job, 1, 0, TrainerExit.Stopped);

        var paused = await cluster.GetAsync(job);
        (paused.State, paused.Reason).ShouldBe((JobState.Paused, "paused by bob: the demo is first"));
    }

    [Fact]
    public async Task PausedJob_ThatIsCancelled_IsOver_AndOneThatIsOverOrAboutToBe_CannotBePaused()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var (paused, stopping) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        await cluster.Job(paused).PauseAsync(ByBob);
        await cluster.RunAsync(stopping);

        await cluster.Job(paused).CancelAsync(new CancelJob("alice", ""));
        await cluster.Job(stopping).CancelAsync(new CancelJob("alice", ""));

        (await cluster.GetAsync(paused)).State.ShouldBe(JobState.Cancelled);
        (await cluster.GetAsync(stopping)).State.ShouldBe(JobState.Stopping);
        foreach (var job in new[] { paused, stopping })
        {
            (await cluster.Job(job).PauseAsync(ByBob)).ShouldBeFalse();
            (await cluster.Job(job).ResumeAsync("bob")).ShouldBeFalse();
        }

        await Should.ThrowAsync<JobNotFoundException>(() => cluster.Job(JobId.New()).PauseAsync(ByBob));
        await Should.ThrowAsync<JobNotFoundException>(() => cluster.Job(JobId.New()).ResumeAsync("bob"));
    }

    [Fact]
    public async Task Resume_OfAJobThatIsNotPaused_ChangesNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);

        (await cluster.Job(job).ResumeAsync("bob")).ShouldBeTrue();

        (await cluster.StatesAsync(job)).ShouldBe([JobState.Queued, JobState.Starting, JobState.Running]);
    }

    /// <summary>Who asked for its forecast ended with that scheduler, and nobody asks for a paused job.</summary>
    [Fact]
    public async Task Resume_OfAJobThatWasPausedBeforeItsForecastCame_AsksForThatAnew()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        var now = first.Time.GetUtcNow();
        var submission = JobSubmission.Of("alice", "request", AJob().Build(), waitForCapacity: false, now) with
        {
            ForecastUntil = now.AddDays(1),
        };
        // Stored, and nothing else.
        await first.Get<SubmissionGroups>().StoreAsync(new Submission([submission], null));
        await first.Job(submission.Id).PauseAsync(ByBob);
        await first.DisposeAsync();
        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        await node.ConnectedTo(second).RegisterAsync();
        await second.ReconcileAsync();
        second.Agents.Descriptions.ShouldBeEmpty();

        await second.Job(submission.Id).ResumeAsync("bob");
        (await second.GetAsync(submission.Id)).ReasonCode.ShouldBe("waiting_for_forecast");
        await second.PassAsync();
        await Eventually.HoldsAsync(async () => (await second.GetAsync(submission.Id)).ReasonCode != "waiting_for_forecast");
        await second.ReconcileAsync();

        (await second.GetAsync(submission.Id)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task TimeInThePause_CountsAsNoWaiting()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.Job(job).PauseAsync(ByBob);
        cluster.Time.Advance(TimeSpan.FromDays(3));
        await cluster.Job(job).ResumeAsync("bob");
        cluster.Time.Advance(TimeSpan.FromSeconds(2));

        var opened = await cluster.Get<PlanCommit>().CommitAsync(
            [new JobStart(job.Key(), [new PlannedRank(new NodeKey(node.Id.Value), node.Name, 1, "cpu:0")])], Token);

        opened.ShouldHaveSingleItem().Waited.ShouldBe(TimeSpan.FromSeconds(2));
    }
}
