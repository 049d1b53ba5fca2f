using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Dependencies;

/// <summary>Arrays of jobs of which only so many go on at once.</summary>
public sealed class ArrayTests(PostgresServer postgres)
{
    [Fact]
    public async Task Array_OfWhichTwoGoOnAtOnce_StartsTheNextAsOneEnds_InItsOrder()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 8);
        var jobs = await SubmitAsync(cluster, count: 5, atOnce: 2);
        await cluster.RunAsync(jobs[0]);
        await cluster.RunAsync(jobs[1]);

        var waiting = await cluster.GetAsync(jobs[2]);
        (waiting.State, waiting.ReasonCode, waiting.Queue).ShouldBe((JobState.Queued, "waiting_for_jobs", null));
        waiting.Reason.ShouldBe("waits for its turn in the array, of which 2 may go on at once");
        await node.ExitAsync(jobs[1], 1, 0, TrainerExit.Done);
        await cluster.PassAsync();
        (await StatesAsync(cluster, jobs)).ShouldBe(
            [JobState.Running, JobState.Succeeded, JobState.Starting, JobState.Queued, JobState.Queued]);
        await node.ExitAsync(jobs[0], 1, 0, TrainerExit.Misconfigured);
        await node.ExitAsync(jobs[2], 1, 0, TrainerExit.Done);
        await cluster.PassAsync();

        (await StatesAsync(cluster, jobs)).ShouldBe(
            [JobState.Failed, JobState.Succeeded, JobState.Succeeded, JobState.Starting, JobState.Starting]);
    }

    /// <summary>It goes on, and so has its place, from its first start to its end.</summary>
    [Fact]
    public async Task JobOfAnArray_ThatIsToStartAgain_KeepsItsPlace()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 8);
        var jobs = await SubmitAsync(cluster, count: 2, atOnce: 1);
        await node.ExitAsync(jobs[0], await cluster.RunAsync(jobs[0]), 0, exitCode: 1);

        await cluster.PassAsync();

        (await StatesAsync(cluster, jobs)).ShouldBe([JobState.Queued, JobState.Queued]);
        (await cluster.GetAsync(jobs[0])).ReasonCode.ShouldBe("backing_off");
        (await cluster.GetAsync(jobs[1])).ReasonCode.ShouldBe("waiting_for_jobs");
    }

    [Fact]
    public async Task Array_ThatComesAfterAJob_WaitsForIt_AndThenForItsTurns()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 8);
        var first = await cluster.SubmitAsync();
        var jobs = await SubmitAsync(cluster, count: 3, atOnce: 2, after: first);
        await cluster.RunAsync(first);
        (await StatesAsync(cluster, jobs)).ShouldAllBe(state => state == JobState.Queued);

        await node.ExitAsync(first, 1, 0, TrainerExit.Done);
        await cluster.PassAsync();

        (await StatesAsync(cluster, jobs)).ShouldBe([JobState.Starting, JobState.Starting, JobState.Queued]);
    }

    /// <summary>As experiment cancel does it.</summary>
    [Fact]
    public async Task Array_WhoseJobsAreCancelledFromItsEnd_StartsNoneMeanwhile()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 8);
        var jobs = await SubmitAsync(cluster, count: 3, atOnce: 1);

        foreach (var job in jobs.Reverse())
        {
            await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
            if (job == jobs[1])
                (await StatesAsync(cluster, jobs)).ShouldBe([JobState.Queued, JobState.Cancelled, JobState.Cancelled]);
        }

        await cluster.PassAsync();
        (await StatesAsync(cluster, jobs)).ShouldAllBe(state => state == JobState.Cancelled);
        (await TestDatabase.CountAsync(cluster, "array_turns")).ShouldBe(0);
    }

    private static async Task<IReadOnlyList<JobId>> SubmitAsync(TestCluster cluster, int count, int atOnce, JobId? after = null)
    {
        var now = cluster.Time.GetUtcNow();
        var experiment = new ExperimentRow
        {
            Id = Guid.NewGuid(),
            Owner = "alice",
            RequestId = "array",
            Name = "array",
            Workspace = "default",
            Yaml = "",
            CreatedAt = now,
        };
        var spec = AJob().Build();
        if (after is { } first)
            spec.After.Add(new Dependency { Job = $"{first}", State = DependencyState.Succeeded });
        var jobs = Enumerable.Range(0, count).Select(place =>
            JobSubmission.Of("alice", $"array/{place}", spec, waitForCapacity: false, now.AddMicroseconds(place)) with
            {
                Experiment = new ExperimentId(experiment.Id),
                Variant = $"{place}",
                Turn = new ArrayTurn(place, atOnce),
            }).ToList();
        (await cluster.Get<JobIntake>().StoreAsync(new Submission([.. jobs], experiment))).ShouldBeTrue();
        return jobs.ConvertAll(job => job.Id);
    }

    private static async Task<IReadOnlyList<JobState>> StatesAsync(TestCluster cluster, IEnumerable<JobId> jobs)
    {
        var states = new List<JobState>();
        foreach (var job in jobs)
            states.Add((await cluster.GetAsync(job)).State);
        return states;
    }
}
