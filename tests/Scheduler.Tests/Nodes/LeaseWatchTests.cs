using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Tests.Nodes;

/// <summary>Who is away: the node, or the scheduler and its store.</summary>
public sealed class LeaseWatchTests(PostgresServer postgres)
{
    private static readonly TimeSpan Lease = new NodeOptions().LeaseDuration;
    private static readonly TimeSpan Look = new NodeOptions().LookInterval;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Watch_WhenTheSchedulerWasPaused_LosesNoNode_AndGivesEveryLeaseAFullTerm()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();

        cluster.Time.Advance(Lease * 1.5);
        await cluster.LookAsync();

        await LookForAsync(cluster, Lease - Look);
        (await StateAsync(cluster)).ShouldBe(NodeState.Ready);
        await LookForAsync(cluster, Look);
        (await StateAsync(cluster)).ShouldBe(NodeState.Lost, "it had a full term after the pause");
    }

    [Fact]
    public async Task Watch_WhenAllIsThere_LosesTheNodeThatDoesNotRenew()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();

        await LookForAsync(cluster, Lease);

        (await StateAsync(cluster)).ShouldBe(NodeState.Lost);
    }

    [Fact]
    public async Task Watch_WhenLooksFailed_GivesEveryLeaseAFullTerm()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();

        for (var away = TimeSpan.Zero; away < Lease * 2; away += Look)
        {
            cluster.Time.Advance(Look);
            await cluster.SetClockAsync();
            var fails = new CancellationToken(canceled: true);
            await Should.ThrowAsync<OperationCanceledException>(() => cluster.Get<LeaseWatch>().LookAsync(fails));
        }

        await LookForAsync(cluster, Lease - Look);
        (await StateAsync(cluster)).ShouldBe(NodeState.Ready);
    }

    /// <summary>A suspended machine, or a clock that is set: leases are kept by the same clock.</summary>
    [Fact]
    public async Task Watch_WhenPausesFollowEachOther_LosesNoNode()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();

        for (var i = 0; i < 5; i++)
        {
            cluster.Time.Advance(new NodeOptions().LongestAbsence + TimeSpan.FromSeconds(1));
            await cluster.LookAsync();
        }

        (await StateAsync(cluster)).ShouldBe(NodeState.Ready);
    }

    [Fact]
    public async Task Leases_AreJudgedAsOfTheLooksBeginning()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var began = cluster.Time.GetUtcNow();

        // Stopped between the look at the clock and the statement.
        cluster.Time.Advance(Lease * 2);
        await cluster.SetClockAsync();
        await cluster.Get<LeaseWatch>().ExpireAsync(began, Cancelled);

        (await StateAsync(cluster)).ShouldBe(NodeState.Ready);
    }

    /// <summary>
    /// As while the scheduler that has the node's grain is paused or has just died: this one's grain does not know the agent yet.
    /// </summary>
    [Fact]
    public async Task Heartbeat_ThatReachesAnotherScheduler_RenewsTheLease()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        var node = await first.AddNodeAsync();
        await using var second = await BesideAsync(first);

        await LookForAsync(first, Lease - Look);
        (await node.ConnectedTo(second).HeartbeatAsync()).Status.ShouldBe(HeartbeatStatus.Unknown);
        await LookForAsync(first, Lease - Look);

        (await StateAsync(first)).ShouldBe(NodeState.Ready);
    }

    [Fact]
    public async Task Watch_WhileAnotherSchedulerIsAway_LosesNoNode_UntilThatOneIsGoneForGood()
    {
        await using var paused = await TestCluster.StartAsync(postgres);
        await using var second = await BesideAsync(paused);
        await paused.AddNodeAsync();

        await LookForAsync(second, new NodeOptions().LongestSchedulerAbsence - Look);
        await LookForAsync(second, Lease - (Look * 2));
        (await StateAsync(second)).ShouldBe(NodeState.Ready);
        await LookForAsync(second, Look * 3);
        (await StateAsync(second)).ShouldBe(NodeState.Lost, "it had a full term after that");
    }

    /// <summary>Agents that talked to it have a full term to find the other.</summary>
    [Fact]
    public async Task Watch_WhenAnotherSchedulerHasStopped_DoesNotWaitForIt_AndLosesNoNodeByThat()
    {
        await using var stopped = await TestCluster.StartAsync(postgres);
        await using var second = await BesideAsync(stopped);
        await stopped.AddNodeAsync();
        for (var passed = Look; passed < Lease; passed += Look)
        {
            stopped.Time.Advance(Look);
            await stopped.LookAsync();
            await second.LookAsync();
        }

        await stopped.Get<LeaseWatch>().LeaveAsync(Cancelled);

        await LookForAsync(second, Lease - Look);
        (await StateAsync(second)).ShouldBe(NodeState.Ready);
        await LookForAsync(second, Look * 2);
        (await StateAsync(second)).ShouldBe(NodeState.Lost);
    }

    /// <summary>A stopped process, or one whose network is cut, in the middle of a transaction: Postgres knows nothing of that.</summary>
    [Fact]
    public async Task Watch_WhenAnotherSchedulerIsAwayForALease_FreesWhatItHoldsLocked()
    {
        await using var stopped = await TestCluster.StartAsync(postgres);
        await using var second = await BesideAsync(stopped);
        var job = JobId.New();
        var (locked, goesOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        var transaction = stopped.Get<ClusterDatabase>().TransactAsync(async (connection, token) =>
        {
            await AdvisoryLocks.LockMetricsAsync(connection, job, token);
            locked.SetResult();
            await goesOn.Task;
            return 0;
        }, Cancelled);
        await locked.Task.WaitAsync(Cancelled);

        try
        {
            await LookForAsync(second, Lease + Look);
            await second.Get<ClusterDatabase>().TransactAsync(async (connection, token) =>
            {
                await using var bounded = new NpgsqlCommand("set local lock_timeout = '30s'", connection);
                await bounded.ExecuteNonQueryAsync(token);
                await AdvisoryLocks.LockMetricsAsync(connection, job, token);
                return 0;
            }, Cancelled);
        }
        finally
        {
            goesOn.SetResult();
        }

        await Should.ThrowAsync<StoreUnavailableException>(() => transaction, "its transaction is undone");
    }

    /// <summary>It is not seen before it has started, which takes sessions.</summary>
    [Fact]
    public async Task Watch_WhenAnotherSchedulerStartsAnew_LeavesItsSessionsAlone()
    {
        await using var killed = await TestCluster.StartAsync(postgres);
        await using var second = await BesideAsync(killed);
        await LookForAsync(second, Lease + Look);
        var anew = new PersistenceOptions
        {
            ConnectionString = killed.ConnectionString,
            Owner = killed.Get<IOptions<SiloOptions>>().Value.Address,
        };
        await using var started = NpgsqlDataSource.Create(anew.ConnectionStringOf(StorePool.Control));
        await using var session = await started.OpenConnectionAsync(Cancelled);

        await LookForAsync(second, Look);

        await using var command = new NpgsqlCommand("select 1", session);
        (await command.ExecuteScalarAsync(Cancelled)).ShouldBe(1);
    }

    [Fact]
    public async Task OneOfTheSchedulersThatAreHere_IsFirst()
    {
        await using var one = await TestCluster.StartAsync(postgres);
        await using var two = await BesideAsync(one);
        await one.LookAsync();
        var (first, second) = one.Get<LeaseWatch>().IsFirst ? (one, two) : (two, one);
        second.Get<LeaseWatch>().IsFirst.ShouldBeFalse();
        first.Get<LeaseWatch>().IsFirst.ShouldBeTrue();

        await LookForAsync(second, new NodeOptions().LongestAbsence + Look);

        second.Get<LeaseWatch>().IsFirst.ShouldBeTrue("the other is away");
    }

    /// <summary>A busy machine takes minutes to open the port; until then no agent could renew anything.</summary>
    [Fact]
    public async Task FreshTermOfLeases_BeginsWhenTheApplicationHasStarted()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        await first.AddNodeAsync();
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents, services =>
        {
            services.AddHostedService<LeaseWatchService>();
            services.AddHostedService(provider => new SlowToStart(first, provider.GetRequiredService<NodeQueries>()));
        });

        (await second.Get<NodeQueries>().ListAsync(TestContext.Current.CancellationToken)).Single().State.ShouldBe(NodeState.Ready);
    }

    private sealed class SlowToStart(TestCluster first, NodeQueries nodes) : IHostedService
    {
        public async Task StartAsync(CancellationToken cancellationToken)
        {
            // Each turn leaves a watch that does not wait the time to do harm.
            for (var minute = 0; minute < 20; minute++)
            {
                first.Time.Advance(TimeSpan.FromMinutes(1));
                await first.SetClockAsync();
                await nodes.ListAsync(cancellationToken);
            }
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private static Task<TestCluster> BesideAsync(TestCluster other) =>
        TestCluster.StartAsync(other.ConnectionString, other.Time, other.Agents, TestCluster.ClusteredApart);

    private static async Task LookForAsync(TestCluster cluster, TimeSpan time)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += Look)
        {
            cluster.Time.Advance(Look);
            await cluster.LookAsync();
        }
    }

    private static async Task<NodeState> StateAsync(TestCluster cluster) =>
        (await cluster.Get<NodeQueries>().ListAsync(Cancelled)).Single().State;
}
