using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;

namespace Cluster.Scheduler.Access;

/// <summary>Who may call what: tokens by their hash.</summary>
public sealed class TokenStore(ClusterDatabase database, TimeProvider time)
{
    /// <param name="hash">SHA-256 of the token's text.</param>
    /// <returns>Null when no such token was given out.</returns>
    public Task<TokenGrant?> FindAsync(byte[] hash, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
            await context.Tokens.SingleOrDefaultAsync(t => t.Hash == hash, token) is { } row ? new TokenGrant(row.Owner, row.Scope) : null,
            cancellationToken);

    /// <summary>Adds the token; if it is known, owner and scope become these.</summary>
    public Task PutAsync(byte[] hash, TokenGrant grant, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync((context, token) =>
        {
            var scope = grant.Scope.ToString();
            var now = time.GetUtcNow();
            return context.Database.ExecuteSqlAsync(
                $"""
                insert into tokens values ({hash}, {grant.Owner}, {scope}, {now})
                on conflict (hash) do update set owner = excluded.owner, scope = excluded.scope
                """, token);
        }, cancellationToken);

    /// <summary>Withdraws every token of that owner and scope but one.</summary>
    /// <returns>How many there were.</returns>
    public Task<int> RemoveOthersAsync(byte[] hash, TokenGrant grant, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => context.Tokens
                .Where(t => t.Owner == grant.Owner && t.Scope == grant.Scope && t.Hash != hash).ExecuteDeleteAsync(token),
            cancellationToken);
}

/// <param name="Owner">Whose jobs those are that are submitted with the token.</param>
public sealed record TokenGrant(string Owner, Scope Scope);
