using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

public sealed class SubmitTests(PostgresServer postgres)
{
    [Fact]
    public async Task Submit_WithTheSameRequestId_StoresOneJob()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();

        var first = await cluster.SubmitAsync(AJob().With(s => s.Name = "first"), "request");
        var again = await cluster.SubmitAsync(AJob().With(s => s.Name = "second"), "request");

        again.ShouldBe(first);
        (await cluster.GetAsync(first)).Spec.Name.ShouldBe("first");
        (await cluster.StatesAsync(first)).ShouldBe([JobState.Queued]);
    }

    [Fact]
    public async Task Submit_ManyTimesAtOnce_IsAcceptedOnce()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = JobSubmission.Of("alice", "request", AJob().Build(), waitForCapacity: false, cluster.Time.GetUtcNow());

        var accepted = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => cluster.SubmitAsync(job)));

        accepted.Count(a => a).ShouldBe(1);
    }

    /// <summary>Nothing but the database stands between them.</summary>
    [Fact]
    public async Task Submit_ToTwoSchedulersAtOnce_StoresOneJob()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var other = await TestCluster.StartAsync(cluster.ConnectionString, cluster.Time, cluster.Agents, TestCluster.ClusteredApart);
        await using var _ = other;
        var job = JobSubmission.Of("alice", "request", AJob().Build(), waitForCapacity: false, cluster.Time.GetUtcNow());

        var accepted = await Task.WhenAll(cluster.SubmitAsync(job), other.SubmitAsync(job));

        accepted.Count(a => a).ShouldBe(1);
        (await cluster.StatesAsync(job.Id)).ShouldBe([JobState.Queued]);
    }

    [Fact]
    public void SameRequestId_OfAnotherOwner_IsAnotherJob()
    {
        JobIds.ForRequest("alice", "request").ShouldNotBe(JobIds.ForRequest("bob", "request"));
        JobIds.ForRequest("ab", "c").ShouldNotBe(JobIds.ForRequest("a", "bc"));
    }

    [Fact]
    public async Task StoredSpec_IsTheSubmittedOne()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = AJob().With(s =>
        {
            s.Hyperparameters.Optimizer.WeightDecay = 0.1 + 0.2;
            s.Hyperparameters.Optimizer.Epsilon = 1e-8;
            s.Hyperparameters.MaxSteps = long.MaxValue;
            s.Labels.Add("team", "vision \"2012\"");
            s.Model.Options.Add("init", new OptionValue { StringValue = "he" });
            s.Model.Options.Add("lrn", new OptionValue { BoolValue = false });
            s.Model.Options.Add("width", new OptionValue { DoubleValue = 0.25 });
        });

        var stored = (await cluster.GetAsync(await cluster.SubmitAsync(job))).Spec;

        stored.ShouldBe(job.Build());
    }

    [Fact]
    public async Task Submit_OfMoreDevicesThanRegistered_IsRefusedInWords()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 4);

        var refusal = await Should.ThrowAsync<InfeasibleJobException>(() => cluster.SubmitAsync(AJob().WithDevices(12)));

        refusal.Message.ShouldStartWith("resources.devices is 12 but the registered cluster has 4 cpu devices; lower devices, add nodes");
    }

    [Fact]
    public async Task CapacityCheck_SaysWhatSubmitWouldSay()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 4);
        var check = cluster.Get<CapacityCheck>();

        await check.EnsureFitsAsync(AJob().WithDevices(4).Build(), memory: null, TestContext.Current.CancellationToken);
        var refusal = await Should.ThrowAsync<InfeasibleJobException>(
            () => check.EnsureFitsAsync(AJob().WithDevices(12).Build(), memory: null, TestContext.Current.CancellationToken));

        refusal.Message.ShouldStartWith("resources.devices is 12 but the registered cluster has 4 cpu devices; lower devices, add nodes");
    }

    [Fact]
    public async Task Submit_OfADataSetThatNoNodeHas_IsRefusedInWords()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();

        var refusal = await Should.ThrowAsync<InfeasibleJobException>(
            () => cluster.SubmitAsync(AJob().With(s => s.Data.Name = "imagenet")));

        refusal.Message.ShouldStartWith("data.name is 'imagenet', which no registered node has (they have fashion-mnist)");
    }

    [Fact]
    public async Task Submit_ThatWaitsForCapacity_IsQueuedAndStartsOnceItIsThere()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2), waitForCapacity: true);
        await cluster.ReconcileAsync();
        var waiting = await cluster.GetAsync(job);
        waiting.State.ShouldBe(JobState.Queued);
        waiting.Reason.ShouldStartWith("no node is registered");
        waiting.Queue.Position.ShouldBe(1);

        await cluster.AddNodeAsync(devices: 2);
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
    }

    [Fact]
    public async Task Jobs_ThatTheirNodesMemoryDoesNotHoldTogether_TrainOneAfterTheOther()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        // A gibibyte a device, shared.
        var node = await cluster.AddNodeAsync(devices: 3);
        var first = await cluster.SubmitAsync(rankBytes: 2L << 30);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var second = await cluster.SubmitAsync(rankBytes: 2L << 30);
        cluster.Time.Advance(TimeSpan.FromSeconds(1));
        var small = await cluster.SubmitAsync();
        var attempt = await cluster.RunAsync(first);

        (await cluster.GetAsync(second)).Reason.ShouldBe(
            "needs 1 cpu device; the one that it could use is not free; "
            + "others take the memory beside 1 idle one: each rank needs 2.0 GiB");
        (await cluster.GetAsync(small)).State.ShouldBe(JobState.Queued, "it came later and could delay the one before it");
        await node.ExitAsync(first, attempt, rank: 0, exitCode: 0);
        await cluster.ReconcileAsync();

        (await cluster.GetAsync(second)).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(small)).State.ShouldBe(JobState.Starting);
    }
}
