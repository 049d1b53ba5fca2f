using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Searches;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Search;
using Npgsql;

namespace Cluster.Scheduler.Tests.Searches;

/// <summary>A search makes its trials as jobs, hears what becomes of them, and decides who trains on.</summary>
public sealed class SearchTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Submit_QueuesAsManyTrialsAsMayTrainAtOnce_EachToTheFirstRung()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);

        await search.SubmitAsync(requestId: "once");
        await search.SubmitAsync(requestId: "once");
        await search.ForecastAsync();
        await cluster.ReconcileAsync();

        var trials = await search.TrialsAsync();
        trials.Select(job => job.Variant[..15]).ShouldBe(["0 learningRate=", "1 learningRate=", "2 learningRate="]);
        trials.Select(job => job.Spec.Hyperparameters.Optimizer.LearningRate).Distinct().Count().ShouldBe(3);
        trials.ShouldAllBe(job => job.State == JobState.Starting);
        cluster.Agents.Launches.Select(launch => launch.Request.TrainUntil).ShouldBe([1, 1, 1]);
        var standing = await search.StandingAsync();
        (standing.Searcher, standing.Phase, standing.MaxTrials, standing.MaxConcurrent).ShouldBe(("asha", SearchPhase.Running, 9, 3));
        (standing.Metric, standing.SmallerIsBetter, standing.Best).ShouldBe((MetricNames.ValidationAccuracy, false, null));
    }

    [Fact]
    public async Task Trial_AtItsRung_IsPaused_AndGoesOnWhereOneInThreeIsBetterThanOthers()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync();

        (await search.TrainAsync(1, 0.7)).ShouldBe(1);
        await search.PassAsync();
        var paused = (await search.TrialsAsync())[1];
        (paused.State, paused.Reason).ShouldBe((JobState.Paused, "after epoch 1 of 9: goes on if others turn out worse"));
        (await search.TrialsAsync()).Count.ShouldBe(4, "another trains in its place");
        await search.TrainAsync(0, 0.5);
        await search.TrainAsync(2, 0.6);
        await search.PassAsync();

        var trials = await search.TrialsAsync();
        (trials[1].State, trials[1].Reason).ShouldBe((JobState.Queued, "goes on to epoch 3 of 9"));
        trials.Count.ShouldBe(5);
        (await search.TrainAsync(1, 0.8)).ShouldBe(3);
        (await search.TrialsAsync())[1].Attempt.ShouldBe(2);
        var standing = await search.StandingAsync();
        standing.Rungs[0].ShouldBe(new Rung { Epochs = 1, Trials = 3 });
        await search.PassAsync();
        (await search.StandingAsync()).Best.ShouldBe(new BestTrial { JobId = trials[1].Id, Metric = 0.8, Epochs = 3 });
    }

    [Fact]
    public async Task Search_WhenNothingGoesOn_EndsWithEveryTrial()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync("{name: asha, maxTrials: 3, maxConcurrent: 3, maxRungs: 2, divisor: 3}");
        foreach (var (trial, accuracy) in new[] { (0, 0.1), (1, 0.3), (2, 0.2) })
            await search.TrainAsync(trial, accuracy);
        await search.PassAsync();

        (await search.TrainAsync(1, 0.5)).ShouldBe(9);
        await search.PassAsync();

        var trials = await search.TrialsAsync();
        trials.ShouldAllBe(job => job.State == JobState.Succeeded);
        trials.Select(job => job.Reason).ShouldBe(
            ["stopped after epoch 3 of 9: place 3 of 3 there", "done", "stopped after epoch 3 of 9: place 2 of 3 there"]);
        trials.ShouldAllBe(job => job.FinishedAt != null);
        var standing = await search.StandingAsync();
        (standing.Phase, standing.Stopped).ShouldBe((SearchPhase.Ended, 2));
        (await search.GetAsync()).Experiment.IsOver().ShouldBeTrue();
        (await TestDatabase.CountAsync(cluster, "job_queue")).ShouldBe(0);
        (await cluster.StatesAsync(JobId.Parse(trials[0].Id))).ShouldBe(
            [JobState.Queued, JobState.Starting, JobState.Running, JobState.Paused, JobState.Succeeded]);
    }

    [Fact]
    public async Task FailedAndCancelledTrials_CountAsTheWorst_InvalidOnesAreReplaced()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync("{name: asha, maxTrials: 4, maxConcurrent: 4, maxRungs: 2, divisor: 2}");

        await cluster.Job(JobId.Parse((await search.TrialsAsync())[3].Id)).CancelAsync(new CancelJob("bob", ""));
        await search.EndAsync(0, exitCode: 1);
        await search.EndAsync(1, TrainerExit.Misconfigured);
        await search.EndAsync(2, TrainerExit.Misconfigured, step: 7);
        await search.PassAsync();

        var standing = await search.StandingAsync();
        (standing.Failed, standing.Invalid).ShouldBe((3, 1), "one that has trained was not invalid");
        var trials = await search.TrialsAsync();
        trials.Select(job => job.State).ShouldBe(
            [JobState.Failed, JobState.Failed, JobState.Failed, JobState.Cancelled, JobState.Queued]);
        await search.TrainAsync(4, 0.2);
        await search.PassAsync();
        (await search.StandingAsync()).Best.JobId.ShouldBe(trials[4].Id);
    }

    /// <summary>Each commit is whole or nothing, so a scheduler that dies anywhere is one that dies between two of them.</summary>
    /// <summary>It would wait for ever, and hold one of the places of those that train at once.</summary>
    [Fact]
    public async Task Trial_ThatCanNeverBePlaced_IsGivenUp_AndAnotherIsMadeInItsPlace()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync("{name: random, maxTrials: 2, maxConcurrent: 1}");
        await search.TrainAsync(0, 0.5);
        await search.PassAsync();
        // Its settings make it larger than any node.
        await search.ForecastAsync();
        await TestDatabase.ExecuteAsync(cluster, $$"""
            update job_queue set cpu_bytes = {{1L << 50}}, gpu_bytes = {{1L << 50}} where state = 'Queued';
            update jobs set memory = '{ "total": "{{1L << 50}}" }' where state = 'Queued'
            """);
        await cluster.ReconcileAsync();
        var stuck = (await search.TrialsAsync())[1];
        stuck.ReasonCode.ShouldBe("infeasible", stuck.Reason);
        await search.PassAsync();
        (await search.TrialsAsync()).Count.ShouldBe(2, "a node may come for it");

        cluster.Time.Advance(UnplaceableTrials.Patience + TimeSpan.FromSeconds(1));
        await search.PassAsync();
        await search.PassAsync();

        var trials = await search.TrialsAsync();
        (trials[1].State, trials[1].ReasonCode).ShouldBe((JobState.Cancelled, "never_placed"));
        trials[1].Reason.ShouldStartWith("cancelled by its search: its rank is expected to take ");
        (trials.Count, trials[2].State).ShouldBe((3, JobState.Queued));
        var standing = await search.StandingAsync();
        (standing.Failed, standing.Invalid).ShouldBe((0, 1));
    }

    /// <summary>What none of its trials has is not those trials' fault.</summary>
    [Fact]
    public async Task Trials_ThatWaitForANodeAsThoseBeforeThemHad_AreNotGivenUp()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync("{name: random, maxTrials: 2, maxConcurrent: 1}");
        await search.TrainAsync(0, 0.5);
        await search.PassAsync();
        await search.ForecastAsync();
        await TestDatabase.ExecuteAsync(cluster, "update nodes set data_sets = '{}'");
        await cluster.ReconcileAsync();
        (await search.TrialsAsync())[1].ReasonCode.ShouldBe("infeasible");

        cluster.Time.Advance(UnplaceableTrials.Patience + TimeSpan.FromSeconds(1));
        await search.PassAsync();

        (await search.TrialsAsync())[1].State.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task Queue_OfASearchThatGoesOn_StaysThoughNoTrialIsInIt_AndMayGoOnceItIsOver()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await TestQueues.CreateAsync(cluster, "research", quota: 1);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync("{name: random, maxTrials: 2, maxConcurrent: 1}", queue: "research");
        await search.TrainAsync(0, 0.5);
        (await TestDatabase.CountAsync(cluster, "job_queue")).ShouldBe(0, "one trial is over, and the next not made yet");
        (await cluster.Get<QueueStore>().DeleteAsync("research", Token)).ShouldBe(QueueRefusal.HasSearches);

        await search.PassAsync();
        await search.TrainAsync(1, 0.6);
        await search.PassAsync();

        (await search.StandingAsync()).Phase.ShouldBe(SearchPhase.Ended);
        (await cluster.Get<QueueStore>().DeleteAsync("research", Token)).ShouldBeNull();
    }

    [Fact]
    public async Task Search_WhoseSchedulerDiesAfterEveryStep_DecidesAsOneThatLives()
    {
        var expected = await DecisionsAsync(restarts: false);

        (await DecisionsAsync(restarts: true)).ShouldBe(expected);
        expected.Count.ShouldBe(6);
    }

    /// <summary>Both have read the same state; whoever writes second finds that out, and decides on what the first has written.</summary>
    [Fact]
    public async Task TwoSchedulersAtOnce_DecideOneAfterTheOther()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(first);
        await search.SubmitAsync("{name: random, maxTrials: 40, maxConcurrent: 2}");
        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents, TestCluster.ClusteredApart);
        Task<bool>[] steps;
        await using (await HeldTable.HoldAsync(first, "job_queue"))
        {
            steps = [StepAsync(first, trials: 10, concurrent: 0), StepAsync(second, trials: 0, concurrent: 5)];
            await Eventually.HoldsAsync(() => TestDatabase.QueryAsync<bool>(first,
                """
                select exists (select from pg_locks l join pg_stat_activity a using (pid)
                    where not l.granted and l.locktype = 'transactionid' and a.datname = current_database())
                """));
        }

        (await Task.WhenAll(steps)).ShouldBe([true, true]);
        var standing = await search.StandingAsync();
        (standing.MaxTrials, standing.MaxConcurrent).ShouldBe((50, 9));
        (await search.TrialsAsync()).Select(job => job.Variant[..job.Variant.IndexOf(' ')]).ShouldBe(
            Enumerable.Range(0, 9).Select(trial => $"{trial}"));
        (await TestDatabase.QueryAsync<int>(first, "select jsonb_array_length(state::jsonb->'trials') from searches")).ShouldBe(9);

        Task<bool> StepAsync(TestCluster cluster, int trials, int concurrent) => cluster.Get<SearchSteps>().StepAsync(
            search.Id, limits => new SearchLimits(limits.MaxTrials + trials, limits.MaxConcurrent + 1 + concurrent), Token);
    }

    [Fact]
    public async Task Decision_WhoseTrialsCannotBeStored_IsNotMade_AndIsMadeLater()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync();
        var before = await StateAsync(cluster);
        await search.TrainAsync(0, 0.5);
        await TestDatabase.ExecuteAsync(cluster, "alter table jobs add constraint no_more check (variant not like '3 %')");

        await Should.ThrowAsync<PostgresException>(() => cluster.Get<SearchSteps>().StepAsync(search.Id, change: null, Token));

        (await StateAsync(cluster)).ShouldBe(before);
        await TestDatabase.ExecuteAsync(cluster, "alter table jobs drop constraint no_more");
        await search.PassAsync();
        (await search.TrialsAsync()).Count.ShouldBe(4);
    }

    [Fact]
    public async Task PassThatFails_IsMadeAgainOnceItsClaimHasRunOut()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync();
        await search.TrainAsync(0, 0.5);
        await TestDatabase.ExecuteAsync(cluster, "alter table jobs add constraint no_more check (variant not like '3 %')");
        await search.PassAsync();
        await TestDatabase.ExecuteAsync(cluster, "alter table jobs drop constraint no_more");

        await search.PassAsync();
        (await search.TrialsAsync()).Count.ShouldBe(3, "another may be at it still");
        cluster.Time.Advance(TimeSpan.FromMinutes(1));
        await search.PassAsync();

        (await search.TrialsAsync()).Count.ShouldBe(4);
    }

    [Fact]
    public async Task Pass_WithoutNews_ChangesNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync();
        await search.PassAsync();
        var before = await StateAsync(cluster);

        await search.PassAsync();

        (await StateAsync(cluster)).ShouldBe(before);
        (await TestDatabase.QueryAsync<bool>(cluster, "select next_due_at is null from searches")).ShouldBeTrue();
    }

    /// <summary>It is not the owner's to say whether a trial goes on.</summary>
    [Fact]
    public async Task TrialAtItsRung_IsNotResumedByHand_AndMayBeCancelled()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync();
        await search.TrainAsync(0, 0.5);
        var job = JobId.Parse((await search.TrialsAsync())[0].Id);

        (await cluster.Job(job).ResumeAsync("bob")).ShouldBeTrue();
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Paused);
        await search.PassAsync();
        await cluster.Job(job).CancelAsync(new CancelJob("bob", ""));
        await search.PassAsync();

        (await search.StandingAsync()).Failed.ShouldBe(1);
    }

    [Fact]
    public async Task TrialPausedByHand_GoesOnToItsRung_AndIsHeardOfThen()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync();
        var job = JobId.Parse((await search.TrialsAsync())[0].Id);
        await cluster.Job(job).PauseAsync(new PauseJob("bob", ""));

        await search.PassAsync();
        (await search.StandingAsync()).Rungs[0].Trials.ShouldBe(0);
        await cluster.Job(job).ResumeAsync("bob");
        await search.TrainAsync(0, 0.5);
        await search.PassAsync();

        (await search.StandingAsync()).Rungs[0].Trials.ShouldBe(1);
    }

    private async Task<IReadOnlyList<string>> DecisionsAsync(bool restarts)
    {
        var cluster = await TestCluster.StartAsync(postgres);
        var search = await DriverAsync(cluster);
        await search.SubmitAsync("{name: asha, maxTrials: 6, maxConcurrent: 2, maxRungs: 3, divisor: 2}", requestId: "decisions");
        // Each trial's accuracy is its own and does not depend on when it is measured.
        for (var steps = 0; (await search.StandingAsync()).Phase == SearchPhase.Running && steps < 100; steps++)
        {
            var trials = await search.TrialsAsync();
            var next = Enumerable.Range(0, trials.Count).First(trial => trials[trial].State is JobState.Queued or JobState.Starting);
            await search.TrainAsync(next, (next * 7 % 10) / 10.0);
            // Before a decision and after one, in turn.
            if (restarts && steps % 2 == 0)
                (cluster, search) = await AgainAsync(cluster, search);
            await search.PassAsync();
            if (restarts && steps % 2 == 1)
                (cluster, search) = await AgainAsync(cluster, search);
        }

        var decided = (await search.TrialsAsync()).Select(job => $"{job.Variant}: {job.State}, {job.Attempt}, {job.Reason}").ToList();
        await cluster.DisposeAsync();
        return decided;
    }

    private static async Task<(TestCluster Cluster, SearchDriver Search)> AgainAsync(TestCluster cluster, SearchDriver search)
    {
        await cluster.DisposeAsync();
        var next = await TestCluster.StartAsync(cluster.ConnectionString, cluster.Time, cluster.Agents);
        var driver = search.ConnectedTo(next);
        await driver.RegisterAsync();
        return (next, driver);
    }

    private static Task<string> StateAsync(TestCluster cluster) =>
        TestDatabase.QueryAsync<string>(cluster, "select version || ' ' || state from searches");

    private static async Task<SearchDriver> DriverAsync(TestCluster cluster) =>
        new(cluster, await cluster.AddNodeAsync(devices: 4));
}
