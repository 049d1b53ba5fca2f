using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Cli.Tests.Access;

/// <summary>Tokens, workspaces and the audit of a cluster, as a test puts them there.</summary>
internal sealed class FakeAccess
{
    /// <summary>What was asked for.</summary>
    public List<IMessage> Requests { get; } = [];

    public List<AccessToken> Tokens { get; } = [];

    public List<Workspace> Workspaces { get; } = [];

    /// <summary>Newest first.</summary>
    public List<AuditEntry> Entries { get; } = [];

    internal sealed class TokenEndpoint(FakeAccess access) : TokenService.TokenServiceBase
    {
        public override Task<CreateTokenResponse> CreateToken(CreateTokenRequest request, ServerCallContext context)
        {
            access.Requests.Add(request);
            var token = new AccessToken { Id = $"{Guid.NewGuid()}", Name = request.Name, Owner = request.Owner, Scope = request.Scope };
            return Task.FromResult(new CreateTokenResponse { Token = token, Secret = "clt_secret" });
        }

        public override Task<ListTokensResponse> ListTokens(ListTokensRequest request, ServerCallContext context)
        {
            access.Requests.Add(request);
            var skip = request.PageToken.Length == 0 ? 0 : 1;
            return Task.FromResult(new ListTokensResponse
            {
                Tokens = { access.Tokens.Skip(skip).Take(skip == 0 ? 1 : int.MaxValue) },
                NextPageToken = skip == 0 && access.Tokens.Count > 1 ? "rest" : "",
            });
        }

        public override Task<RevokeTokenResponse> RevokeToken(RevokeTokenRequest request, ServerCallContext context)
        {
            access.Requests.Add(request);
            return Task.FromResult(new RevokeTokenResponse
            {
                Token = access.Tokens.Single(token => token.Id.StartsWith(request.TokenId, StringComparison.Ordinal)),
            });
        }
    }

    internal sealed class AuditEndpoint(FakeAccess access) : AuditService.AuditServiceBase
    {
        public override Task<ListAuditResponse> ListAudit(ListAuditRequest request, ServerCallContext context)
        {
            access.Requests.Add(request.Clone());
            var rest = access.Entries.Skip(request.PageToken.Length == 0 ? 0 : int.Parse(request.PageToken)).ToList();
            var page = rest.Take(Math.Min(request.PageSize, 2)).ToList();
            return Task.FromResult(new ListAuditResponse
            {
                Entries = { page },
                NextPageToken = page.Count < rest.Count ? $"{access.Entries.Count - rest.Count + page.Count}" : "",
            });
        }
    }

    internal sealed class WorkspaceEndpoint(FakeAccess access) : WorkspaceService.WorkspaceServiceBase
    {
        public override Task<ListWorkspacesResponse> ListWorkspaces(ListWorkspacesRequest request, ServerCallContext context) =>
            Task.FromResult(new ListWorkspacesResponse { Workspaces = { access.Workspaces } });

        public override Task<CloseWorkspaceResponse> CloseWorkspace(CloseWorkspaceRequest request, ServerCallContext context)
        {
            access.Requests.Add(request);
            return Task.FromResult(new CloseWorkspaceResponse());
        }

        public override Task<OpenWorkspaceResponse> OpenWorkspace(OpenWorkspaceRequest request, ServerCallContext context)
        {
            access.Requests.Add(request);
            return Task.FromResult(new OpenWorkspaceResponse());
        }

        public override Task<SetMemberResponse> SetMember(SetMemberRequest request, ServerCallContext context)
        {
            access.Requests.Add(request);
            return Task.FromResult(new SetMemberResponse());
        }

        public override Task<RemoveMemberResponse> RemoveMember(RemoveMemberRequest request, ServerCallContext context)
        {
            access.Requests.Add(request);
            return Task.FromResult(new RemoveMemberResponse());
        }
    }
}
