using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Nodes over gRPC, for people.</summary>
public sealed class NodesEndpoint(NodeQueries queries) : NodeService.NodeServiceBase
{
    public override async Task<ListNodesResponse> ListNodes(ListNodesRequest request, ServerCallContext context)
    {
        var size = request.PageSize == 0 ? JobsEndpoint.LargestPageSize : JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(() => queries.ListAsync(size, request.PageToken, context.CancellationToken));
        return new ListNodesResponse { Nodes = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<GetNodeResponse> GetNode(GetNodeRequest request, ServerCallContext context)
    {
        if (request.NodeId.Length == 0)
            throw new InvalidRequestException("node_id is empty; give the node's id, the beginning of it, or its name");
        RequestText.Check("node_id", request.NodeId, longest: 1000);
        IdPrefix? prefix = IdPrefix.TryParse(request.NodeId, out var beginning) ? beginning : null;
        var named = await queries.FindAsync(request.NodeId, prefix, context.CancellationToken);
        return named.Count switch
        {
            0 => throw new RpcException(new Status(StatusCode.NotFound, $"no node has the name '{request.NodeId}' or an id that begins so")),
            1 => new GetNodeResponse { Node = named[0] },
            _ => throw new InvalidRequestException($"node_id is '{request.NodeId}', which means {named.Count} nodes; give the whole id"),
        };
    }
}
