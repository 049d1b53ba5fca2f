using Orleans.Concurrency;

namespace Cluster.Scheduler.Nodes;

/// <summary>What runs on one node, and the way to its agent; the key is the node's id.</summary>
/// <remarks>
/// The agent's secret is kept in memory only. An activation that lacks it answers a heartbeat with
/// <see cref="HeartbeatStatus.Unknown"/>, whereupon the agent registers again.
/// </remarks>
[Alias("cluster.INodeGrain")]
public interface INodeGrain : IGrainWithGuidKey
{
    /// <summary>Takes note of the node as it is now and grants a lease.</summary>
    /// <exception cref="InvalidRegistrationException">The agent's address cannot be called.</exception>
    [Alias("Register")]
    Task<LeaseGrant> RegisterAsync(NodeRegistration registration);

    /// <summary>What the agent says beside that it lives; the lease is renewed without it.</summary>
    [Alias("Heartbeat")]
    Task<HeartbeatResult> HeartbeatAsync(NodeHeartbeat heartbeat);

    /// <summary>Starts an attempt's ranks on this node. Interleaves, so that a slow agent holds up no heartbeat.</summary>
    [Alias("Launch")]
    [AlwaysInterleave]
    Task<LaunchResult> LaunchAsync(LaunchOrder order);

    /// <summary>Asks an attempt's trainers on this node to end. May be repeated; interleaves like launches.</summary>
    [Alias("Stop")]
    [AlwaysInterleave]
    Task<StopResult> StopAsync(StopOrder order);

    /// <summary>Has the node take models apart. Interleaves: it may take seconds.</summary>
    [Alias("Describe")]
    [AlwaysInterleave]
    Task<DescribeResult> DescribeAsync(DescribeOrder order);
}

/// <summary>What an agent registered cannot be used. gRPC: InvalidArgument; the message names field and value.</summary>
[GenerateSerializer, Alias("cluster.InvalidRegistrationException")]
public sealed class InvalidRegistrationException(string message) : Exception(message);
