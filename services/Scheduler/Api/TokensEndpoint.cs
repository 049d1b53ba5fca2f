using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Tokens over gRPC.</summary>
internal sealed class TokensEndpoint(TokenStore store, TokenRegister tokens, TimeProvider time) : TokenService.TokenServiceBase
{
    private const int LongestName = 200;
    private const int MostWorkspaces = 100;

    public override async Task<CreateTokenResponse> CreateToken(CreateTokenRequest request, ServerCallContext context)
    {
        CheckName("name", request.Name);
        CheckName("owner", request.Owner);
        if (request.Scope is not (Scope.Viewer or Scope.Submitter or Scope.Operator or Scope.Admin))
            throw new InvalidRequestException($"scope is {request.Scope}; give viewer, submitter, operator or admin");
        CheckWorkspaces(request);
        RequestTime.Check("expires_at", request.ExpiresAt);
        var now = time.GetUtcNow();
        if (request.ExpiresAt?.ToDateTimeOffset() is { } expires && expires <= now)
            throw new InvalidRequestException($"expires_at is {expires:u}, which is over; give a later time, or leave it out");
        var secret = AccessSecret.Make(AccessSecret.Token);
        var row = new TokenRow
        {
            Hash = AccessSecret.Hash(secret),
            Id = Guid.NewGuid(),
            Name = request.Name,
            Owner = request.Owner,
            Scope = request.Scope,
            CreatedAt = now,
            CreatedBy = Caller.Of(context).Owner,
            ExpiresAt = request.ExpiresAt?.ToDateTimeOffset(),
            Workspaces = request.Workspaces.Count > 0 ? [.. request.Workspaces.Distinct(StringComparer.Ordinal)] : null,
        };
        await store.AddAsync(row, context.CancellationToken);
        // Others hear of it; here the next call may come with it.
        await tokens.LoadAsync(context.CancellationToken);
        return new CreateTokenResponse { Token = row.ToToken(), Secret = secret };
    }

    public override async Task<ListTokensResponse> ListTokens(ListTokensRequest request, ServerCallContext context)
    {
        RequestText.Check("owner", request.Owner, LongestName);
        var size = JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(
            () => store.ListAsync(request.Owner, size, request.PageToken, context.CancellationToken));
        return new ListTokensResponse { Tokens = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<RevokeTokenResponse> RevokeToken(RevokeTokenRequest request, ServerCallContext context)
    {
        var found = await FindAsync(request.TokenId, context.CancellationToken);
        await store.RevokeAsync(found.Id, context.CancellationToken);
        await tokens.LoadAsync(context.CancellationToken);
        return new RevokeTokenResponse { Token = (await FindAsync($"{found.Id}", context.CancellationToken)).ToToken() };
    }

    private static void CheckName(string field, string value)
    {
        if (string.IsNullOrWhiteSpace(value))
            throw new InvalidRequestException($"{field} is empty; say {(field == "name" ? "what the token is for" : "whose it is")}");
        RequestText.Check(field, value, LongestName);
    }

    private static void CheckWorkspaces(CreateTokenRequest request)
    {
        if (request.Workspaces.Count > MostWorkspaces)
            throw new InvalidRequestException($"workspaces has {request.Workspaces.Count} names; give {MostWorkspaces} at most");
        foreach (var workspace in request.Workspaces.Where(workspace => !Names.IsValid(workspace)))
            throw new InvalidRequestException($"workspaces has '{workspace}' but must have names of {Names.Range}");
        if (request.Workspaces.Count > 0 && request.Scope == Scope.Admin)
        {
            throw new InvalidRequestException(
                "workspaces is set and scope is admin, which can make any other token; give operator, or leave workspaces out");
        }
    }

    private async Task<TokenRow> FindAsync(string text, CancellationToken cancellationToken)
    {
        if (!IdPrefix.TryParse(text, out var prefix))
            throw new InvalidRequestException(
                $"token_id is '{AccessSecret.Redact(text)}'; give the id or its first {IdPrefix.MinDigits} or more hexadecimal digits");
        var found = await store.FindAsync(prefix, cancellationToken);
        return found.Count switch
        {
            0 => throw new RpcException(new Status(StatusCode.NotFound, $"no token has an id that begins with {prefix}")),
            1 => found[0],
            _ => throw new InvalidRequestException($"token_id is '{text}', with which several tokens' ids begin; give more of it"),
        };
    }
}
