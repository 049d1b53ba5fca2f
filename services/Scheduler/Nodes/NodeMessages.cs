using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Scheduler.Nodes;

/// <summary>An attempt of a job, as agents name the trainers that they run.</summary>
[GenerateSerializer, Immutable, Alias("cluster.AttemptKey")]
public readonly record struct AttemptKey([property: Id(0)] JobId Job, [property: Id(1)] int Attempt);

/// <inheritdoc cref="Device"/>
[GenerateSerializer, Immutable, Alias("cluster.NodeDevice")]
public sealed record NodeDevice(
    [property: Id(0)] string Id,
    [property: Id(1)] DeviceKind Kind,
    [property: Id(2)] int Cores,
    [property: Id(3)] long MemoryBytes,
    [property: Id(4)] string Model);

/// <param name="Incarnation">Made anew at each start of the agent.</param>
/// <param name="Running">Attempts whose trainers the agent still runs.</param>
[GenerateSerializer, Immutable, Alias("cluster.NodeRegistration")]
public sealed record NodeRegistration(
    [property: Id(0)] string Name,
    [property: Id(1)] string AgentAddress,
    [property: Id(2)] string AgentSecret,
    [property: Id(3)] string Incarnation,
    [property: Id(4)] string AgentVersion,
    [property: Id(5)] ImmutableArray<NodeDevice> Devices,
    [property: Id(6)] ImmutableDictionary<string, string> Labels,
    [property: Id(7)] ImmutableArray<string> DataSets,
    [property: Id(8)] ImmutableArray<AttemptKey> Running)
{
    /// <summary>Leaves the secret out.</summary>
    public override string ToString() => $"{nameof(NodeRegistration)}({Name} at {AgentAddress})";
}

/// <param name="Stale">Trainers that the agent must end before the node's devices are granted again.</param>
[GenerateSerializer, Immutable, Alias("cluster.LeaseGrant")]
public sealed record LeaseGrant(
    [property: Id(0)] TimeSpan LeaseDuration,
    [property: Id(1)] TimeSpan HeartbeatInterval,
    [property: Id(2)] ImmutableArray<AttemptKey> Stale);

/// <param name="ShuttingDown">The agent ends: nothing more is to be placed on the node.</param>
[GenerateSerializer, Immutable, Alias("cluster.NodeHeartbeat")]
public sealed record NodeHeartbeat(
    [property: Id(0)] string Incarnation,
    [property: Id(1)] ImmutableArray<AttemptKey> Running,
    [property: Id(2)] bool ShuttingDown)
{
    /// <summary>
    /// What the node's row says, which the grain does not go by its own memory for: a scheduler that is about to be found dead may have
    /// written it meanwhile.
    /// </summary>
    [Id(3)]
    public bool KnownClean { get; init; }
}

/// <param name="DataSets">All that the node has now.</param>
[GenerateSerializer, Immutable, Alias("cluster.NodeDataSets")]
public sealed record NodeDataSets([property: Id(0)] string Incarnation, [property: Id(1)] ImmutableArray<string> DataSets);

[GenerateSerializer, Alias("cluster.HeartbeatStatus")]
public enum HeartbeatStatus
{
    Renewed = 0,

    /// <summary>The node must register: it is not known, its lease ran out, or the scheduler has restarted. gRPC: NotFound.</summary>
    Unknown = 1,

    /// <summary>Another incarnation has registered since. gRPC: FailedPrecondition.</summary>
    Superseded = 2,
}

/// <inheritdoc cref="LeaseGrant"/>
[GenerateSerializer, Immutable, Alias("cluster.HeartbeatResult")]
public sealed record HeartbeatResult(
    [property: Id(0)] HeartbeatStatus Status,
    [property: Id(1)] TimeSpan LeaseDuration,
    [property: Id(2)] ImmutableArray<AttemptKey> Stale)
{
    public static HeartbeatResult Declined(HeartbeatStatus status) => new(status, TimeSpan.Zero, []);
}

/// <summary>A <see cref="LaunchRequest"/> on its way to the node's grain. It carries the attempt's secret and is never logged.</summary>
[GenerateSerializer, Immutable, Alias("cluster.LaunchOrder")]
public sealed record LaunchOrder([property: Id(0)] ImmutableArray<byte> Request)
{
    public static LaunchOrder For(LaunchRequest request) => new(ImmutableCollectionsMarshal.AsImmutableArray(request.ToByteArray()));

    public LaunchRequest Read() => LaunchRequest.Parser.ParseFrom(Request.AsSpan());

    /// <summary>Leaves the secret out.</summary>
    public override string ToString() => $"{nameof(LaunchOrder)}({Request.Length} bytes)";
}

[GenerateSerializer, Alias("cluster.LaunchStatus")]
public enum LaunchStatus
{
    Launched = 0,

    /// <summary>The agent refused: none of the ranks runs there.</summary>
    Refused = 1,

    /// <summary>No answer, or none that tells: the ranks may run there.</summary>
    Unknown = 2,

    /// <summary>The agent has not registered with this activation yet: nothing was sent.</summary>
    NotConnected = 3,

    /// <summary>The agent is shutting down: none of the ranks runs there, which is nobody's failure.</summary>
    Closing = 4,
}

/// <param name="Detail">In words, for the job's reason.</param>
[GenerateSerializer, Immutable, Alias("cluster.LaunchResult")]
public sealed record LaunchResult([property: Id(0)] LaunchStatus Status, [property: Id(1)] string Detail);

[GenerateSerializer, Immutable, Alias("cluster.StopOrder")]
public sealed record StopOrder([property: Id(0)] AttemptKey Attempt, [property: Id(1)] TimeSpan Grace, [property: Id(2)] string Reason);

/// <param name="Acknowledged">The agent has the request. Exits follow by themselves.</param>
/// <param name="AbsentHeartbeats">
/// How many heartbeats in a row since the first acknowledged stop came without the attempt: two prove that nothing of it runs there.
/// </param>
[GenerateSerializer, Immutable, Alias("cluster.StopResult")]
public sealed record StopResult([property: Id(0)] bool Acknowledged, [property: Id(1)] int AbsentHeartbeats);

/// <summary>A <see cref="DescribeModelsRequest"/> on its way to the node's grain, and how long its answer may take.</summary>
[GenerateSerializer, Immutable, Alias("cluster.DescribeOrder")]
public sealed record DescribeOrder([property: Id(0)] ImmutableArray<byte> Request, [property: Id(1)] TimeSpan Deadline)
{
    public static DescribeOrder For(DescribeModelsRequest request, TimeSpan deadline) =>
        new(ImmutableCollectionsMarshal.AsImmutableArray(request.ToByteArray()), deadline);

    public DescribeModelsRequest Read() => DescribeModelsRequest.Parser.ParseFrom(Request.AsSpan());
}

/// <param name="Response">A <see cref="DescribeModelsResponse"/>; empty when there is none.</param>
/// <param name="Detail">Why there is none.</param>
[GenerateSerializer, Immutable, Alias("cluster.DescribeResult")]
public sealed record DescribeResult([property: Id(0)] ImmutableArray<byte> Response, [property: Id(1)] string Detail)
{
    /// <summary>As <see cref="LaunchStatus.NotConnected"/>: nobody was asked.</summary>
    [Id(2)]
    public bool NotConnected { get; init; }

    public static DescribeResult Of(DescribeModelsResponse response) =>
        new(ImmutableCollectionsMarshal.AsImmutableArray(response.ToByteArray()), "");

    public static DescribeResult None(string detail) => new([], detail);

    public DescribeModelsResponse Read() => DescribeModelsResponse.Parser.ParseFrom(Response.AsSpan());
}
