using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Placement.Running;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>What placement knows of jobs that run, and what it makes of that.</summary>
public sealed class RunningFactsTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Facts_FollowTheJob_FromItsStartToItsRelease()
    {
        await using var cluster = await StartAsync();
        await cluster.AddNodeAsync();
        var start = cluster.Time.GetUtcNow();
        var job = await cluster.SubmitAsync(AJob().WithPriority(3));
        await cluster.ReconcileAsync();
        var facts = await FactsAsync();
        (facts.Queue, facts.Owner, facts.Priority, facts.StartedAt).ShouldBe((QueueKey.Default, "alice", 3, start));
        (facts.CommittedAt, facts.End, facts.Preemptible).ShouldBe((null, null, true));

        cluster.Time.Advance(TimeSpan.FromSeconds(7));
        await cluster.RunAsync(job);
        (await FactsAsync()).Restarting.ShouldBe(TimeSpan.FromSeconds(7));

        await ReportAsync(cluster, job, 2, step: 10, steps: 110);
        cluster.Time.Advance(TimeSpan.FromSeconds(20));
        await ReportAsync(cluster, job, 3, step: 20, steps: 110);
        (await FactsAsync()).End!.Likely.ShouldBe(start.AddSeconds(7 + 20 + (90 * 2)));

        await cluster.Get<CheckpointStore>().CommitAsync(
            cluster.Credential(job, 1), new CheckpointManifest { Kind = ArtifactKind.Weights, Step = 20 }, 1, Token);
        (await FactsAsync()).CommittedAt.ShouldBe(start.AddSeconds(27));

        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
        facts = await FactsAsync();
        facts.Preemptible.ShouldBeFalse("it gives its device back already");
        facts.End!.Likely.ShouldBe(start.AddSeconds(27) + new JobOptions().CancelGrace);

        async Task<RunningFacts> FactsAsync() =>
            (await cluster.Get<PlacementStore>().TakeOverAsync(Guid.NewGuid(), Token)).Changes.OfType<ClusterChange.JobGranted>()
                .ShouldHaveSingleItem().Facts.ShouldNotBeNull();
    }

    /// <summary>Its own devices are promised to the first job, and a short one fills the time until then.</summary>
    [Fact]
    public async Task Gang_IsPromisedItsStart_AndOnlyWhoEndsBeforeItPasses()
    {
        await using var cluster = await StartAsync();
        var node = await cluster.AddNodeAsync(devices: 2);
        var quick = AJob().With(spec => spec.Hyperparameters.Epochs = 2);
        await LearnAsync(cluster, quick, TimeSpan.FromSeconds(30));
        var running = await cluster.SubmitAsync();
        await cluster.RunAsync(running);
        await ReportAsync(cluster, running, 2, step: 10, steps: 1010);
        cluster.Time.Advance(TimeSpan.FromSeconds(10));
        await ReportAsync(cluster, running, 3, step: 110, steps: 1010);

        var gang = await cluster.SubmitAsync(AJob().WithDevices(2));
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var unknown = await cluster.SubmitAsync();
        await cluster.ReconcileAsync();
        var passed = await cluster.GetAsync(unknown);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var known = await cluster.SubmitAsync(quick);
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(known)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(unknown)).State.ShouldBe(JobState.Queued);
        (await cluster.GetAsync(gang)).State.ShouldBe(JobState.Queued);
        passed.ReasonCode.ShouldBe("waiting_for_turn", "nobody knows when it would end");
        passed.Reason.ShouldStartWith($"waits its turn: the free device is kept for job {gang}, which is to start at ");

        await node.ExitAsync(running, 1, 0, TrainerExit.Done);
        await node.ExitAsync(known, 1, 0, TrainerExit.Done);
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(gang)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public void Pace_IsToldWhenItHasChanged_AndAnewInTheNextAttempt()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UnixEpoch);
        var (paces, job) = (new RunPaces(time), JobId.New());

        Note(1, 0).ShouldBeNull("it trains no step yet");
        Note(1, 10).ShouldBeNull("nothing is measured yet");
        time.Advance(TimeSpan.FromSeconds(10));
        var first = Note(1, 20).ShouldNotBeNull();
        (first.Likely - time.GetUtcNow()).ShouldBe(TimeSpan.FromSeconds(80));
        first.Late.ShouldBeGreaterThan(first.Likely);
        time.Advance(TimeSpan.FromSeconds(10));
        Note(1, 30).ShouldBeNull("it goes on as before");
        time.Advance(TimeSpan.FromSeconds(40));
        Note(1, 40).ShouldNotBeNull("it has become slower").Likely.ShouldBe(time.GetUtcNow().AddSeconds(60 * 2));
        Note(2, 40).ShouldBeNull("another attempt may have another pace");
        time.Advance(TimeSpan.FromSeconds(1));
        Note(2, 50).ShouldNotBeNull().Likely.ShouldBe(time.GetUtcNow().AddSeconds(5));

        Estimate? Note(int attempt, long step) => paces.Note(job, attempt, new Progress { Step = step, Steps = 100 });
    }

    /// <summary>As the fuzzing of every RPC found it: no time is as late as that, and the trainer's report failed.</summary>
    [Fact]
    public void Pace_OfSoManyStepsThatNoTimeIsTheirEnd_TellsNothing()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UnixEpoch);
        var (paces, job) = (new RunPaces(time), JobId.New());
        paces.Note(job, 1, new Progress { Step = 1, Steps = long.MaxValue }).ShouldBeNull();
        time.Advance(TimeSpan.FromSeconds(10));

        paces.Note(job, 1, new Progress { Step = 2, Steps = long.MaxValue }).ShouldBeNull();
        paces.Note(job, 1, new Progress { Step = 2, Steps = 100 }).ShouldNotBeNull("it is known as soon as it can be");
    }

    [Fact]
    public async Task Runtimes_AreLearntFromJobsThatAreAlike_WhateverTheirNames()
    {
        await using var cluster = await StartAsync();
        await cluster.AddNodeAsync();
        var like = AJob().With(spec => (spec.Name, spec.Seed, spec.Hyperparameters.Optimizer.LearningRate) = ("other", 7, 0.5));
        var other = AJob().With(spec => spec.Hyperparameters.GlobalBatchSize = 16);
        await LearnAsync(cluster, AJob(), TimeSpan.FromSeconds(100));
        var (known, unknown) = (await cluster.SubmitAsync(like), await cluster.SubmitAsync(other));

        var waiting = (await cluster.Get<PlacementStore>().TakeOverAsync(Guid.NewGuid(), Token)).Changes
            .OfType<ClusterChange.JobQueued>().ToDictionary(change => change.Job.Id, change => change.Job.Runtime);

        waiting[known.Key()].ShouldNotBeNull().Likely.TotalSeconds.ShouldBe(100, 0.01);
        waiting[known.Key()]!.Late.ShouldBeGreaterThan(TimeSpan.FromSeconds(100));
        waiting[unknown.Key()].ShouldBeNull();
    }

    /// <summary>Of which nothing is measured yet, it is expected to run as long as others like it, or else as it may.</summary>
    [Fact]
    public async Task ExpectedEnd_BeforeTheFirstSteps_IsThatOfLikeJobs_ElseTheLimit()
    {
        await using var cluster = await StartAsync();
        await cluster.AddNodeAsync(devices: 2);
        await LearnAsync(cluster, AJob(), TimeSpan.FromSeconds(100));
        var start = cluster.Time.GetUtcNow();
        var (alike, bounded) = (await cluster.SubmitAsync(), await cluster.SubmitAsync(Limited()));
        await cluster.ReconcileAsync();
        var waiting = await cluster.SubmitAsync(Limited().With(spec => spec.Hyperparameters.GlobalBatchSize = 16));

        var news = (await cluster.Get<PlacementStore>().TakeOverAsync(Guid.NewGuid(), Token)).Changes;

        var ends = news.OfType<ClusterChange.JobGranted>().ToDictionary(granted => granted.Job, granted => granted.Facts!.End);
        ends[alike.Key()].ShouldNotBeNull().Likely.ShouldBe(start.AddSeconds(100), TimeSpan.FromMilliseconds(1));
        ends[bounded.Key()].ShouldBe(new Estimate(start.AddSeconds(70), start.AddSeconds(70)));
        var runs = news.OfType<ClusterChange.JobQueued>().Single(queued => queued.Job.Id == waiting.Key()).Job.Runtime;
        runs.ShouldBe(new ExpectedRuntime(TimeSpan.FromSeconds(70), TimeSpan.FromSeconds(70)));

        static JobSpecBuilder Limited() => AJob().With(spec => spec.MaxRuntime = Duration.FromTimeSpan(TimeSpan.FromSeconds(70)));
    }

    private Task<TestCluster> StartAsync() => TestCluster.StartAsync(
        postgres, services => services.Configure<NodeOptions>(options => options.LeaseDuration = TimeSpan.FromMinutes(10)));

    /// <summary>A job like it has run so long.</summary>
    private static Task LearnAsync(TestCluster cluster, JobSpecBuilder job, TimeSpan runtime) =>
        cluster.Get<Runtimes>().LearnAsync(job.Build(), runtime, Token);

    private static Task ReportAsync(TestCluster cluster, JobId job, long sequence, long step, long steps) =>
        cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, 1), new ReportRequest { Sequence = sequence, Progress = new Progress { Step = step, Steps = steps } },
            Token);
}
