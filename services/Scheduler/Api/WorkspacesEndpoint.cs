using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Workspaces;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Workspaces over gRPC.</summary>
internal sealed class WorkspacesEndpoint(WorkspaceStore store, WorkspaceDirectory workspaces) : WorkspaceService.WorkspaceServiceBase
{
    private const int LongestOwner = 200;

    public override async Task<ListWorkspacesResponse> ListWorkspaces(ListWorkspacesRequest request, ServerCallContext context)
    {
        var caller = Caller.Of(context);
        var size = JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(() => store.ListAsync(
            caller.Scope == Scope.Admin ? null : caller.Owner, caller.Workspaces, size, request.PageToken, context.CancellationToken));
        return new ListWorkspacesResponse { Workspaces = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<CloseWorkspaceResponse> CloseWorkspace(CloseWorkspaceRequest request, ServerCallContext context)
    {
        await store.CloseAsync(CheckedName(request.Name), Caller.Of(context).Owner, context.CancellationToken);
        await workspaces.LoadAsync(context.CancellationToken);
        return new CloseWorkspaceResponse();
    }

    public override async Task<OpenWorkspaceResponse> OpenWorkspace(OpenWorkspaceRequest request, ServerCallContext context)
    {
        if (!await store.OpenAsync(CheckedName(request.Name), context.CancellationToken))
            throw NotClosed(request.Name);
        await workspaces.LoadAsync(context.CancellationToken);
        return new OpenWorkspaceResponse();
    }

    public override async Task<SetMemberResponse> SetMember(SetMemberRequest request, ServerCallContext context)
    {
        var member = request.Member ?? throw new InvalidRequestException("member is unset; say who it is, and the role");
        CheckOwner(member.Owner);
        if (member.Role is not (Scope.Viewer or Scope.Submitter or Scope.Operator))
            throw new InvalidRequestException($"role is {member.Role}; give viewer, submitter or operator");
        foreach (var queue in member.Queues.Where(queue => !Names.IsValid(queue)))
            throw new InvalidRequestException($"queues has '{queue}' but must have names of {Names.Range}");
        if (!await store.SetMemberAsync(CheckedName(request.Name), member, context.CancellationToken))
            throw NotClosed(request.Name);
        await workspaces.LoadAsync(context.CancellationToken);
        return new SetMemberResponse();
    }

    public override async Task<RemoveMemberResponse> RemoveMember(RemoveMemberRequest request, ServerCallContext context)
    {
        CheckOwner(request.Owner);
        await store.RemoveMemberAsync(CheckedName(request.Name), request.Owner, context.CancellationToken);
        await workspaces.LoadAsync(context.CancellationToken);
        return new RemoveMemberResponse();
    }

    private static string CheckedName(string name) => Names.IsValid(name)
        ? name
        : throw new InvalidRequestException($"name is '{name}' but must be {Names.Range}");

    private static void CheckOwner(string owner)
    {
        if (string.IsNullOrWhiteSpace(owner))
            throw new InvalidRequestException("owner is empty; say who the member is, as tokens name their owner");
        RequestText.Check("owner", owner, LongestOwner);
    }

    private static RpcException NotClosed(string name) =>
        new(new Status(StatusCode.NotFound, $"workspace {name} is not closed: it is everybody's, and has no members"));
}
