using Cluster.Placement;
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

        all.Select(Subject).ShouldBe([$"NodeChanged {node.Id}", $"JobQueued {before}"]);
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

        await cluster.Job(job).StartAsync(new StartAttempt([new RankDevice(node.Id, node.Name, 1, "cpu:0")]));
        var granted = (await ReadAsync(cluster)).ShouldHaveSingleItem().ShouldBeOfType<ClusterChange.JobGranted>();
        granted.Devices.ShouldBe([new GrantedDevice(new NodeKey(node.Id.Value), "cpu:0")]);
        granted.Memory.Cpu.ShouldBe(7);

        // No agent has heard of it, so that it ends at once.
        await cluster.Job(job).CancelAsync(new CancelJob("alice", ""));
        (await ChangesAsync(cluster)).ShouldBe([$"JobEnded {job}"]);
        await TestDatabase.ExecuteAsync(cluster, $"delete from jobs where id = '{job}'");
        (await ChangesAsync(cluster)).ShouldBe([$"JobEnded {job}"]);
    }

    [Fact]
    public async Task Row_ThatCannotBeRead_KeepsTheDevicesThatItHolds()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(rankBytes: 7);
        await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token);
        await cluster.Job(job).StartAsync(new StartAttempt([new RankDevice(node.Id, node.Name, 1, "cpu:0")]));
        await TestDatabase.ExecuteAsync(cluster, $"update jobs set memory = '[]' where id = '{job}'");

        var granted = (await ReadAsync(cluster)).ShouldHaveSingleItem().ShouldBeOfType<ClusterChange.JobGranted>();
        granted.Devices.ShouldBe([new GrantedDevice(new NodeKey(node.Id.Value), "cpu:0")]);
        (await cluster.Get<PlacementStore>().TakeOverAsync(_keeper, Token)).Select(Subject)
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
        await using var change = new NpgsqlCommand($"update jobs set priority = 5 where id = '{job}'", connection);
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

        (await store.ChangesAsync(_keeper, next, Token)).ShouldNotBeNull().Count.ShouldBe(1);
        (await store.ChangesAsync(_keeper, next, Token)).ShouldBeNull();
    }

    private async Task<IEnumerable<string>> ChangesAsync(TestCluster cluster) => (await ReadAsync(cluster)).Select(Subject);

    private async Task<List<ClusterChange>> ReadAsync(TestCluster cluster)
    {
        var next = Guid.NewGuid();
        var changes = await cluster.Get<PlacementStore>().ChangesAsync(_keeper, next, Token);
        _keeper = next;
        return changes.ShouldNotBeNull();
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
