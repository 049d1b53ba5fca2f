using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Telemetry;
using Cluster.Scheduler.Tests.Fixtures;
using Npgsql;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Dependencies;

/// <summary>Jobs that come after others.</summary>
public sealed class DependencyTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Job_ThatComesAfterAnothersSuccess_WaitsForIt_AndThenStarts()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var first = await cluster.SubmitAsync();
        var second = await cluster.SubmitAsync(After(first));
        await cluster.RunAsync(first);

        var waiting = await cluster.GetAsync(second);
        (waiting.State, waiting.ReasonCode, waiting.Queue).ShouldBe((JobState.Queued, "waiting_for_jobs", null));
        waiting.Reason.ShouldBe($"waits for job {first.ToString()[..8]} to succeed");
        waiting.Spec.After.ShouldHaveSingleItem().Job.ShouldBe($"{first}");
        (await cluster.PassAsync()).ShouldBeNull("nobody looks again before the first one is over");
        await node.ExitAsync(first, 1, 0, TrainerExit.Done);
        await cluster.PassAsync();

        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Job_ThatWaitsForAnother_IsCounted_AndIsNoneOfPlacements()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var first = await cluster.SubmitAsync();
        var second = await cluster.SubmitAsync(After(first));

        var news = await cluster.Get<PlacementStore>().TakeOverAsync(Guid.NewGuid(), Token);
        var ages = new WaitingAges();
        news.Later.ForEach(later => ages.Await(later.Job, later.Until.Code));

        news.Changes.OfType<ClusterChange.JobQueued>().Select(change => change.Job.Id).ShouldBe([first.Key()]);
        var waits = news.Later.ShouldHaveSingleItem().Job;
        waits.Id.ShouldBe(second.Key());
        ages.NotInLine().ShouldBe([(QueueKey.Default, "waiting_for_jobs", 1, waits.Age)]);
    }

    [Fact]
    public async Task Job_ThatComesAfterSeveral_WaitsForTheLast_OverASchedulersRestart()
    {
        await using var before = await TestCluster.StartAsync(postgres);
        var node = await before.AddNodeAsync(devices: 3);
        var (one, other) = (await before.SubmitAsync(), await before.SubmitAsync());
        var last = await before.SubmitAsync(After(one, other));
        await before.RunAsync(one);
        await before.RunAsync(other);
        await node.ExitAsync(one, 1, 0, TrainerExit.Done);
        await before.DisposeAsync();

        await using var after = await TestCluster.StartAsync(before.ConnectionString, before.Time, before.Agents);
        var reborn = node.ConnectedTo(after);
        await reborn.RegisterAsync();
        await after.PassAsync();
        (await after.GetAsync(last)).Reason.ShouldBe($"waits for job {other.ToString()[..8]} to succeed");
        await reborn.ExitAsync(other, 1, 0, TrainerExit.Done);
        await after.PassAsync();

        (await after.GetAsync(last)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Job_ThatComesAfterAnothersEnd_StartsHoweverThatEnds()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var first = await cluster.SubmitAsync(AJob().WithRestarts(0));
        var second = await cluster.SubmitAsync(AJob().With(spec => spec.After.Add(
            new Dependency { Job = $"{first}", State = DependencyState.Ended })));
        await node.ExitAsync(first, await cluster.RunAsync(first), 0, exitCode: 1);

        await cluster.PassAsync();

        (await cluster.GetAsync(first)).State.ShouldBe(JobState.Failed);
        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Job_ThatCanNeverStart_IsCancelledWithTheReason_AndSoAreThoseAfterIt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var first = await cluster.SubmitAsync();
        var second = await cluster.SubmitAsync(After(first));
        var third = await cluster.SubmitAsync(After(second));
        await cluster.Job(first).CancelAsync(new CancelJob("bob", ""));

        // The second's end makes the third due.
        await cluster.PassAsync();
        await cluster.PassAsync();

        var cancelled = await cluster.GetAsync(second);
        (cancelled.State, cancelled.ReasonCode).ShouldBe((JobState.Cancelled, "dependency_never_met"));
        cancelled.Reason.ShouldBe(
            $"cancelled by the scheduler: job {first} is cancelled, and it was to come after that one's success");
        (await cluster.GetAsync(third)).ReasonCode.ShouldBe("dependency_never_met");
        cluster.Agents.Launches.ShouldBeEmpty();
    }

    [Fact]
    public async Task Job_ThatComesAfterOneThatIsOver_IsSettledAtOnce()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var (good, bad) = (await cluster.SubmitAsync(), await cluster.SubmitAsync());
        await cluster.Job(bad).CancelAsync(new CancelJob("bob", ""));
        await node.ExitAsync(good, await cluster.RunAsync(good), 0, TrainerExit.Done);

        var (started, cancelled) = (await cluster.SubmitAsync(After(good)), await cluster.SubmitAsync(After(good, bad)));
        await cluster.PassAsync();

        (await cluster.GetAsync(started)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(cancelled)).ReasonCode.ShouldBe("dependency_never_met");
    }

    [Fact]
    public async Task PausedJob_WhoseWaitIsOverMeanwhile_StartsOnceResumed()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var first = await cluster.SubmitAsync();
        var second = await cluster.SubmitAsync(After(first));
        await cluster.RunAsync(first);
        await cluster.Job(second).PauseAsync(new PauseJob("bob", ""));
        await node.ExitAsync(first, 1, 0, TrainerExit.Done);
        await cluster.PassAsync();
        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Paused);

        await cluster.Job(second).ResumeAsync("bob");
        await cluster.PassAsync();

        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task PausedJob_ThatIsResumedBefore_WaitsOn()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var first = await cluster.SubmitAsync();
        var second = await cluster.SubmitAsync(After(first));
        await cluster.RunAsync(first);
        await cluster.Job(second).PauseAsync(new PauseJob("bob", ""));

        await cluster.Job(second).ResumeAsync("bob");
        await cluster.PassAsync();
        (await cluster.GetAsync(second)).ReasonCode.ShouldBe("waiting_for_jobs");
        await node.ExitAsync(first, 1, 0, TrainerExit.Done);
        await cluster.PassAsync();

        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Starting);
    }

    /// <summary>Its end is made by hand, and not committed before the other one is on its way into the store.</summary>
    [Fact]
    public async Task Job_ThatIsStoredWhileTheOtherEnds_HearsOfThatEnd()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var first = await cluster.SubmitAsync();
        await cluster.Job(first).PauseAsync(new PauseJob("bob", ""));
        var second = Submission(cluster, After(first));
        await using var connection = new NpgsqlConnection(cluster.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var ending = await connection.BeginTransactionAsync(Token);
        await using var end = new NpgsqlCommand(
            $"update jobs set state = 'Succeeded' where id = '{first}'; delete from job_queue where job_id = '{first}'", connection);
        await end.ExecuteNonQueryAsync(Token);

        var storing = cluster.SubmitAsync(second);
        const string waiting =
            """
            select count(*) from pg_locks
            where not granted and pid in (select pid from pg_stat_activity where datname = current_database())
            """;
        await Eventually.HoldsAsync(async () => storing.IsCompleted || (long)(await cluster.QueryAsync(waiting))! > 0);
        if (storing.IsCompleted)
            await cluster.PassAsync();
        await ending.CommitAsync(Token);
        (await storing.WaitAsync(TimeSpan.FromMinutes(1), Token)).ShouldBeTrue();
        await cluster.PassAsync();

        (await cluster.GetAsync(second.Id)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Submit_AfterAJobThatIsNotThere_OrTwiceAfterOne_IsRefused()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (unknown, known) = (JobId.New(), await cluster.SubmitAsync(waitForCapacity: true));

        var refusal = await Should.ThrowAsync<DependencyException>(() => cluster.SubmitAsync(After(unknown)));
        var twice = await Should.ThrowAsync<DependencyException>(() => cluster.SubmitAsync(
            After(known).With(spec => spec.After.Add(new Dependency { Job = $"{known}"[..20], State = DependencyState.Ended }))));

        refusal.Message.ShouldBe($"after[1].job is {unknown} but no job's id begins so; ./cluster job list shows them");
        twice.Message.ShouldBe($"after names job {known} twice; keep one of the two");
    }

    private static JobSpecBuilder After(params JobId[] jobs) => AJob().With(spec => spec.After.AddRange(
        jobs.Select(job => new Dependency { Job = $"{job}", State = DependencyState.Succeeded })));

    private static JobSubmission Submission(TestCluster cluster, JobSpecBuilder job) =>
        JobSubmission.Of("alice", Guid.NewGuid().ToString(), job.Build(), waitForCapacity: false, cluster.Time.GetUtcNow());
}
