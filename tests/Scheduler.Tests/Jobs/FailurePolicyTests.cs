using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>A job's own rules for when its ranks fail.</summary>
public sealed class FailurePolicyTests(PostgresServer postgres)
{
    private static JobSpecBuilder AJobWithPolicies => AJob().With(spec => spec.FailurePolicies.Add(
    [
        new FailurePolicy { Pattern = "CUDA error", Action = FailureActions.ExcludeNode },
        new FailurePolicy { Pattern = "loss is nan", Action = FailureActions.StopRetrying },
    ]));

    [Fact]
    public async Task Failure_AfterAPatternThatStopsRetrying_EndsTheJob()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJobWithPolicies);
        await cluster.RunAsync(job);

        await FailAsync(cluster, node, job, 1, matched: 2);

        var failed = await cluster.GetAsync(job);
        (failed.State, failed.ReasonCode, failed.Restarts).ShouldBe((JobState.Failed, "stopped_by_policy", 0));
        failed.Reason.ShouldBe("rank 0 on node-a (cpu:0) exited with code 1; "
            + "rank 0 wrote what failurePolicies[2] looks for (loss is nan): no restart follows");
    }

    [Fact]
    public async Task Failure_AfterAPatternThatExcludesTheNode_KeepsTheJobFromItForGood()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var nodes = new List<TestNode>();
        foreach (var name in new[] { "node-a", "node-b", "node-c" })
            nodes.Add(await cluster.AddNodeAsync(name));
        var job = await cluster.SubmitAsync(AJobWithPolicies.With(spec => spec.Restarts.InitialBackoff = new()));
        var first = await StartedOnAsync(cluster, nodes, job);
        await FailAsync(cluster, first, job, 1, matched: 1);

        var second = await StartedOnAsync(cluster, nodes, job);
        await FailAsync(cluster, second, job, 2);
        var third = await StartedOnAsync(cluster, nodes, job);

        second.ShouldNotBe(first);
        third.ShouldBe(second, "a failure without a pattern leaves it its devices once");
        (await TestDatabase.QueryAsync<Guid[]>(cluster, "select excluded_nodes from jobs")).ShouldBe([first.Id.Value]);
        (await TestDatabase.QueryAsync<Guid[]>(cluster, "select excluded_nodes from job_queue")).ShouldBe([first.Id.Value]);
        (await TestDatabase.QueryAsync<Guid[]>(cluster, "select avoid_nodes from job_queue")).ShouldBe([second.Id.Value]);
        // The second time it goes elsewhere, and not where it is excluded from though that would be free.
        await FailAsync(cluster, third, job, 3);
        (await StartedOnAsync(cluster, nodes, job)).ShouldBe(nodes.Except([first, second]).Single());
    }

    [Fact]
    public async Task Job_ThatAllNodesAreExcludedFrom_SaysSo_AndStartsOnceThereIsAnother()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJobWithPolicies.With(spec => spec.Restarts.InitialBackoff = new()));
        await cluster.RunAsync(job);
        await FailAsync(cluster, node, job, 1, matched: 1);
        await cluster.ReconcileAsync();

        var waiting = await cluster.GetAsync(job);
        (waiting.State, waiting.ReasonCode).ShouldBe((JobState.Queued, "nodes_excluded"));
        waiting.Reason.ShouldBe("needs 1 cpu device, which the nodes that are left to it do not have: "
            + "node-a is excluded from it for good; add nodes, or submit it again");
        // It keeps nothing from the others.
        var other = await cluster.SubmitAsync();
        var next = await cluster.AddNodeAsync("node-b");
        (await StartedOnAsync(cluster, [node, next], job)).ShouldBe(next);
        (await StartedOnAsync(cluster, [node, next], other)).ShouldBe(node);
    }

    [Fact]
    public async Task Pattern_OfARankThatWasDone_OrOfAJobThatWasStopped_IsOfNoAccount()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var (done, paused) = (await cluster.SubmitAsync(AJobWithPolicies), await cluster.SubmitAsync(AJobWithPolicies));
        await cluster.RunAsync(done);
        await FailAsync(cluster, node, done, 1, matched: 2, TrainerExit.Done);
        await cluster.RunAsync(paused);
        await cluster.Job(paused).PauseAsync(new PauseJob("bob", ""));
        await FailAsync(cluster, node, paused, 1, matched: 2);

        (await cluster.GetAsync(done)).State.ShouldBe(JobState.Succeeded);
        (await cluster.GetAsync(paused)).State.ShouldBe(JobState.Paused);
    }

    private static async Task<TestNode> StartedOnAsync(TestCluster cluster, List<TestNode> nodes, JobId job)
    {
        await cluster.RunAsync(job);
        var place = (await cluster.GetAsync(job)).Placement.ShouldHaveSingleItem();
        return nodes.Single(node => node.Name == place.NodeName);
    }

    private static Task FailAsync(
        TestCluster cluster, TestNode node, JobId job, int attempt, int matched = 0, int exitCode = 1) =>
        cluster.Job(job).RankExitedAsync(new RankExit(node.Id, attempt, 0, exitCode, 0, "", Evicted: false)
        {
            MatchedPolicies = matched == 0 ? [] : [matched],
        });
}
