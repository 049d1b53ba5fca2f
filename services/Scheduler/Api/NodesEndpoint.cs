using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Nodes over gRPC, for people.</summary>
internal sealed class NodesEndpoint(
    NodeQueries queries, NodeStore store, NodeEnrollments enrollments, ReconcileSignal signal, TimeProvider time)
    : NodeService.NodeServiceBase
{
    private const int LongestReason = 1000;
    private const long LongestGrace = 3600;
    private const int LongestName = 200;

    public override async Task<ListNodesResponse> ListNodes(ListNodesRequest request, ServerCallContext context)
    {
        var size = request.PageSize == 0 ? JobsEndpoint.LargestPageSize : JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(() => queries.ListAsync(size, request.PageToken, context.CancellationToken));
        return new ListNodesResponse { Nodes = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<GetNodeResponse> GetNode(GetNodeRequest request, ServerCallContext context) =>
        new() { Node = await FindAsync(request.NodeId, context.CancellationToken) };

    public override async Task<RemoveNodeResponse> RemoveNode(RemoveNodeRequest request, ServerCallContext context)
    {
        var node = await FindAsync(request.NodeId, context.CancellationToken);
        if (await store.RemoveAsync(new NodeId(Guid.Parse(node.Id)), context.CancellationToken))
            return new RemoveNodeResponse { Node = node };
        var holder = node.Devices.FirstOrDefault(device => device.JobId.Length > 0)?.JobId;
        throw new RpcException(new Status(StatusCode.FailedPrecondition, node.State == NodeState.Ready || holder is null
            ? $"node {node.Name} is not lost; stop its agent, and remove it when its lease has run out"
            : $"node {node.Name} is lost, but job {holder}, which had a device there, has not ended on its other nodes; "
                + "try again when it has"));
    }

    public override async Task<DrainNodeResponse> DrainNode(DrainNodeRequest request, ServerCallContext context)
    {
        RequestText.Check("reason", request.Reason, LongestReason);
        if (request.Grace is { } grace && (grace.Seconds < 0 || grace.Seconds >= LongestGrace || grace.Nanos is < 0 or >= 1_000_000_000))
            throw new InvalidRequestException(
                $"grace is {grace.Seconds} s; give 0 to {LongestGrace}, or keep_running to wait for as long as it takes");
        var drain = new Drain
        {
            Reason = request.Reason,
            By = Caller.Of(context).Owner,
            Since = time.GetUtcNow().ToTimestamp(),
            KeepRunning = request.KeepRunning,
            Grace = request.Grace,
        };
        return new DrainNodeResponse { Node = await SetDrainAsync(request.NodeId, drain, context.CancellationToken) };
    }

    public override async Task<ResumeNodeResponse> ResumeNode(ResumeNodeRequest request, ServerCallContext context) =>
        new() { Node = await SetDrainAsync(request.NodeId, null, context.CancellationToken) };

    public override async Task<EnrollNodeResponse> EnrollNode(EnrollNodeRequest request, ServerCallContext context)
    {
        if (string.IsNullOrWhiteSpace(request.Name))
            throw new InvalidRequestException("name is empty; give the name that the machine's Agent:Name will have");
        RequestText.Check("name", request.Name, LongestName);
        var (code, expiresAt) = await enrollments.OpenAsync(request.Name, Caller.Of(context).Owner, context.CancellationToken);
        return new EnrollNodeResponse { Code = code, ExpiresAt = expiresAt.ToTimestamp() };
    }

    private async Task<Node> SetDrainAsync(string text, Drain? drain, CancellationToken cancellationToken)
    {
        var node = await FindAsync(text, cancellationToken);
        var id = new NodeId(Guid.Parse(node.Id));
        if (!await store.SetDrainAsync(id, drain, cancellationToken))
            throw new RpcException(new Status(StatusCode.NotFound, $"node {node.Name} has been forgotten meanwhile"));
        // Its jobs are evicted if they are to be, and those that wait are told, or start.
        foreach (var job in await store.HoldersAsync(id, cancellationToken))
            signal.Touch(job);
        signal.Place();
        node.Drain = drain;
        return node;
    }

    private async Task<Node> FindAsync(string text, CancellationToken cancellationToken)
    {
        if (text.Length == 0)
            throw new InvalidRequestException("node_id is empty; give the node's id, the beginning of it, or its name");
        RequestText.Check("node_id", text, longest: 1000);
        IdPrefix? prefix = IdPrefix.TryParse(text, out var beginning) ? beginning : null;
        var named = await queries.FindAsync(text, prefix, cancellationToken);
        return named.Count switch
        {
            0 => throw new RpcException(new Status(StatusCode.NotFound, $"no node has the name '{text}' or an id that begins so")),
            1 => named[0],
            _ => throw new InvalidRequestException($"node_id is '{text}', which means {named.Count} nodes; give the whole id"),
        };
    }
}
