using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Google.Protobuf.Collections;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>The agent's side of one node: what it would tell the scheduler.</summary>
public sealed class TestNode(TestCluster cluster, string name, int devices)
{
    private readonly HashSet<AttemptKey> _running = [];

    public NodeId Id { get; private init; } = NodeId.New();

    public string Name => name;

    public Uri Address { get; } = new($"http://{name}:7071");

    public string Incarnation { get; set; } = Guid.NewGuid().ToString();

    public ImmutableDictionary<string, string> Labels { get; set; } = ImmutableDictionary<string, string>.Empty;

    public ImmutableArray<string> DataSets { get; set; } = ["fashion-mnist"];

    /// <summary>What it says it runs.</summary>
    public ISet<AttemptKey> Running => _running;

    private INodeGrain Grain => cluster.Grains.GetGrain<INodeGrain>(Id.Value);

    public async Task<LeaseGrant> RegisterAsync()
    {
        await cluster.SetClockAsync();
        return await Grain.RegisterAsync(new NodeRegistration(
            name, Address.ToString(), "agent secret", Incarnation, "test",
            [.. Enumerable.Range(0, devices).Select(i => new NodeDevice($"cpu:{i}", DeviceKind.Cpu, 1, 1 << 30, "test cpu"))],
            Labels, DataSets, [.. _running]));
    }

    /// <summary>Told to end: it says so in its heartbeats.</summary>
    public bool ShuttingDown { get; set; }

    /// <summary>What it measures.</summary>
    public RepeatedField<DeviceMeasurement> Measured { get; } = [new DeviceMeasurement { Device = "cpu:0", Utilization = 0.5 }];

    /// <summary>Renews the lease, and returns when the rest has been heard too.</summary>
    /// <returns>What the answer to the next one will say of this one.</returns>
    public async Task<HeartbeatResult> HeartbeatAsync()
    {
        await cluster.SetClockAsync();
        var heartbeat = new NodeHeartbeat(Incarnation, [.. _running], ShuttingDown);
        var answer = await cluster.Get<NodeHeartbeats>().HeartbeatAsync(Id, heartbeat, Measured);
        if (answer.Status != HeartbeatStatus.Renewed)
            return answer;
        await cluster.Get<NodeReports>().SettledAsync();
        return cluster.Get<NodeReports>().TakeAnswer(Id, Incarnation)!;
    }

    /// <summary>Tells what it has now.</summary>
    public Task<HeartbeatStatus> OfferAsync(params string[] dataSets) =>
        cluster.Get<NodeHeartbeats>().UpdateDataSetsAsync(Id, new NodeDataSets(Incarnation, [.. dataSets]));

    /// <summary>The same agent process, now talking to another scheduler.</summary>
    public TestNode ConnectedTo(TestCluster other)
    {
        var node = new TestNode(other, name, devices) { Id = Id, Incarnation = Incarnation, Labels = Labels, DataSets = DataSets };
        node._running.UnionWith(_running);
        return node;
    }

    /// <summary>The agent restarts: all that ran is gone.</summary>
    public Task<LeaseGrant> RestartAsync()
    {
        Incarnation = Guid.NewGuid().ToString();
        _running.Clear();
        return RegisterAsync();
    }

    public Task ExitAsync(JobId job, int attempt, int rank, int exitCode, int signal = 0, string message = "") =>
        cluster.Job(job).RankExitedAsync(new RankExit(Id, attempt, rank, exitCode, signal, message, Evicted: ShuttingDown));
}
