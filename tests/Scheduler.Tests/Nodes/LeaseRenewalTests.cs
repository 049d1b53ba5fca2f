using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Npgsql;

namespace Cluster.Scheduler.Tests.Nodes;

/// <summary>What a heartbeat waits for, and what not.</summary>
public sealed class LeaseRenewalTests(PostgresServer postgres)
{
    private static readonly TimeSpan Lease = new NodeOptions().LeaseDuration;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Heartbeats_ThatComeWhileAStatementIsOnItsWay_GoTogetherInTheNext()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var nodes = new List<TestNode>();
        for (var i = 0; i < 6; i++)
            nodes.Add(await cluster.AddNodeAsync($"node-{i}"));
        Task<bool>[] renewals;
        await using (var other = new NpgsqlConnection(cluster.ConnectionString))
        {
            await other.OpenAsync(Cancelled);
            await using var lease = await other.BeginTransactionAsync(Cancelled);
            await ExecuteAsync(other, "select from node_leases for update");

            var first = RenewAsync(cluster, nodes[0]);
            await Eventually.HoldsAsync(async () => await cluster.QueryAsync(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") is 1L);
            renewals = [first, .. nodes.Skip(1).Select(node => RenewAsync(cluster, node))];
            await lease.CommitAsync(Cancelled);
        }

        (await Task.WhenAll(renewals)).ShouldAllBe(renewed => renewed);

        // Rows that one statement wrote bear its transaction's number.
        (await cluster.QueryAsync("select array_agg(n order by n) from (select count(*) n from node_leases group by xmin::text) t"))
            .ShouldBe(new[] { 1L, 5L });
    }

    [Fact]
    public async Task Heartbeat_IsAnsweredBeforeItsGrainHasHeardTheRest()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        cluster.Time.Advance(Lease / 2);
        await cluster.SetClockAsync();
        await using var other = new NpgsqlConnection(cluster.ConnectionString);
        await other.OpenAsync(Cancelled);
        var grants = await other.BeginTransactionAsync(Cancelled);
        // The grain asks which of the attempts count.
        await ExecuteAsync(other, "lock table device_grants");

        var zombie = new AttemptKey(new(Guid.NewGuid()), 1);
        var answer = await HeartbeatAsync(cluster, node, zombie);
        (await cluster.QueryAsync("select expires_at from node_leases"))
            .ShouldBe((cluster.Time.GetUtcNow() + Lease).UtcDateTime);
        await grants.DisposeAsync();
        await cluster.Get<NodeReports>().SettledAsync();
        var next = await HeartbeatAsync(cluster, node, zombie);

        (answer.Status, answer.Stale.Length).ShouldBe((HeartbeatStatus.Renewed, 0));
        (next.Status, next.Stale.Single()).ShouldBe((HeartbeatStatus.Renewed, zombie));
    }

    [Fact]
    public async Task Heartbeat_LeavesTheNodesRowAlone_AndTellsPlacementNothing()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        await cluster.ReconcileAsync();
        var before = await cluster.QueryAsync("select xmin::text || ctid::text from nodes");

        await node.HeartbeatAsync();
        await cluster.Get<NodeMeasurements>().SaveAsync(Cancelled);

        (await cluster.QueryAsync("select xmin::text || ctid::text from nodes")).ShouldBe(before);
        (await cluster.QueryAsync("select count(*) from placement_changes")).ShouldBe(0L);
    }

    /// <summary>As when only the renewals' connections fail: the looks themselves come in time.</summary>
    [Fact]
    public async Task Renewal_ThatFailed_GivesEveryLeaseAFullTerm()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var look = new NodeOptions().LookInterval;
        for (var passed = look; passed < Lease; passed += look)
        {
            cluster.Time.Advance(look);
            await cluster.LookAsync();
        }

        await using (await DatabaseOutage.BeginAsync(cluster.ConnectionString))
            await Should.ThrowAsync<StoreUnavailableException>(() => RenewAsync(cluster, node));
        cluster.Time.Advance(look);
        await cluster.LookAsync();

        (await cluster.Get<NodeQueries>().ListAsync(Cancelled)).Single().State.ShouldBe(NodeState.Ready);
    }

    private static async Task<bool> RenewAsync(TestCluster cluster, TestNode node) =>
        await cluster.Get<LeaseRenewals>().RenewAsync(new LeaseHolder(node.Id, node.Incarnation)) is not null;

    private static Task<HeartbeatResult> HeartbeatAsync(TestCluster cluster, TestNode node, AttemptKey running) =>
        cluster.Get<NodeHeartbeats>().HeartbeatAsync(node.Id, new NodeHeartbeat(node.Incarnation, [running], ShuttingDown: false), []);

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancelled);
    }
}
