using Cluster.Contracts;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Tests.Fixtures;
using Npgsql;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>What placement is told of jobs and nodes: all of it once, and nothing else.</summary>
public sealed class PlacementStoreTests(PostgresServer postgres)
{
    private Guid _keeper = Guid.NewGuid();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Changes_AreToldOnce_FromTheTakeoverOn()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var before = await cluster.SubmitAsync();
        var all = await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token);

        all.Changes.Select(Subject).ShouldBe([$"NodeChanged {node.Id}", $"JobQueued {before}"]);
        (await ChangesAsync(cluster)).ShouldBeEmpty();
        var after = await cluster.SubmitAsync();
        (await ChangesAsync(cluster)).ShouldBe([$"JobQueued {after}"]);
        (await ChangesAsync(cluster)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Changes_OfAJob_TellWhetherItWaitsOrHoldsDevices()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(rankBytes: 7);
        await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token);

        await StartAsync(cluster, job, node);
        var granted = (await ReadAsync(cluster)).ShouldHaveSingleItem().ShouldBeOfType<ClusterChange.JobGranted>();
        granted.Devices.ShouldBe([new GrantedDevice(new NodeKey(node.Id.Value), "cpu:0")]);
        granted.Memory.Cpu.ShouldBe(7);

        // No agent has heard of it, so that it ends at once.
        await cluster.Job(job).StartedAsync(new StartedAttempt(1, "secret"));
        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
        (await ChangesAsync(cluster)).ShouldBe([$"JobEnded {job}"]);
        var gone = await cluster.SubmitAsync();
        (await ChangesAsync(cluster)).ShouldBe([$"JobQueued {gone}"]);
        await TestDatabase.ExecuteAsync(cluster, $"delete from jobs where id = '{gone}'");
        (await ChangesAsync(cluster)).ShouldBe([$"JobEnded {gone}"]);
    }

    [Fact]
    public async Task Row_ThatCannotBeRead_KeepsTheDevicesThatItHolds()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(rankBytes: 7);
        await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token);
        await StartAsync(cluster, job, node);
        await TestDatabase.ExecuteAsync(cluster, $"update job_queue set node_labels = '[]' where job_id = '{job}'");

        var granted = (await ReadAsync(cluster)).ShouldHaveSingleItem().ShouldBeOfType<ClusterChange.JobGranted>();
        granted.Devices.ShouldBe([new GrantedDevice(new NodeKey(node.Id.Value), "cpu:0")]);
        (await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token)).Changes.Select(Subject)
            .ShouldBe([$"NodeChanged {node.Id}", $"JobGranted {job}"]);
    }

    [Fact]
    public async Task Changes_OfANode_AreThoseThatPlacementKnows()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token);

        await node.HeartbeatAsync();
        (await ChangesAsync(cluster)).ShouldBeEmpty("a heartbeat changes nothing");
        await node.OfferAsync("cifar-10");
        (await ChangesAsync(cluster)).ShouldBe([$"NodeChanged {node.Id}"]);
        await TestDatabase.ExecuteAsync(
            cluster, $"update nodes set state = 'Lost', lost_at = now(), epoch = epoch + 1 where id = '{node.Id}'");
        var lost = (await ReadAsync(cluster)).ShouldHaveSingleItem().ShouldBeOfType<ClusterChange.NodeChanged>().Node;
        (lost.Usable, lost.LostAt is null, lost.Epoch).ShouldBe((false, false, 2));
        await TestDatabase.ExecuteAsync(cluster, $"delete from nodes where id = '{node.Id}'");
        (await ChangesAsync(cluster)).ShouldBe([$"NodeRemoved {node.Id}"]);
    }

    [Fact]
    public async Task Change_ThatIsNotCommitted_IsToldOnceItIs()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await cluster.SubmitAsync(waitForCapacity: true);
        await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token);
        await using var connection = new NpgsqlConnection(cluster.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var transaction = await connection.BeginTransactionAsync(Token);
        await using var change = new NpgsqlCommand($"update job_queue set priority = 5 where job_id = '{job}'", connection);
        await change.ExecuteNonQueryAsync(Token);

        (await ChangesAsync(cluster)).ShouldBeEmpty();
        await transaction.CommitAsync(Token);
        (await ChangesAsync(cluster)).ShouldBe([$"JobQueued {job}"]);
    }

    [Fact]
    public async Task Changes_AfterAnotherTookOver_AreToldToThatOneOnly()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var store = cluster.Get<PlacementStore>();
        await store.TakeOverAsync(_keeper, Token);
        var other = Guid.NewGuid();
        await store.TakeOverAsync(other, Token);
        var job = await cluster.SubmitAsync(waitForCapacity: true);

        (await store.ChangesAsync(_keeper, Guid.NewGuid(), Token)).ShouldBeNull();
        _keeper = other;
        (await ChangesAsync(cluster)).ShouldBe([$"JobQueued {job}"]);
    }

    /// <summary>The store's retry runs the work again when it cannot know whether it was committed.</summary>
    [Fact]
    public async Task Changes_AskedForAgain_AreNotTakenForNone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (store, next) = (cluster.Get<PlacementStore>(), Guid.NewGuid());
        await store.TakeOverAsync(_keeper, Token);
        await cluster.SubmitAsync(waitForCapacity: true);

        (await store.ChangesAsync(_keeper, next, Token)).ShouldNotBeNull().Changes.Count.ShouldBe(1);
        (await store.ChangesAsync(_keeper, next, Token)).ShouldBeNull();
    }

    private async Task<IEnumerable<string>> ChangesAsync(TestCluster cluster) => (await ReadAsync(cluster)).Select(Subject);

    private async Task<List<ClusterChange>> ReadAsync(TestCluster cluster)
    {
        var next = Guid.NewGuid();
        var changes = await cluster.Get<PlacementStore>().ChangesAsync(_keeper, next, Token);
        _keeper = next;
        return changes.ShouldNotBeNull().Changes;
    }

    private static async Task StartAsync(TestCluster cluster, JobId job, TestNode node)
    {
        var rank = new PlannedRank(new NodeKey(node.Id.Value), node.Name, 1, "cpu:0");
        (await cluster.Get<PlanCommit>().CommitAsync([new JobStart(job.Key(), [rank])], Token)).Length.ShouldBe(1);
    }

    private static string Subject(ClusterChange change) => change switch
    {
        ClusterChange.JobQueued queued => $"JobQueued {queued.Job.Id}",
        ClusterChange.JobGranted granted => $"JobGranted {granted.Job}",
        ClusterChange.JobEnded ended => $"JobEnded {ended.Job}",
        ClusterChange.NodeChanged changed => $"NodeChanged {changed.Node.Id}",
        ClusterChange.NodeRemoved removed => $"NodeRemoved {removed.Node}",
        _ => throw new ArgumentException("no such change", nameof(change)),
    };
}
