using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Access;

/// <summary>The tokens that were given out, by their hashes: the database holds none that could be used.</summary>
public sealed class TokenStore(ClusterDatabase database, TimeProvider time)
{
    /// <summary>All that there are, with those that are expired or revoked.</summary>
    public Task<IReadOnlyList<TokenRow>> LoadAsync(CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<TokenRow>>(
            async (context, token) => await context.Tokens.ToListAsync(token), cancellationToken);

    /// <summary>Adds a token. Again, it changes nothing.</summary>
    public Task AddAsync(TokenRow row, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = InsertInto(connection, row);
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>Newest first.</summary>
    /// <param name="owner">Empty: all owners'.</param>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<AccessToken>> ListAsync(string owner, int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => Page.FillAsync(pageSize, pageToken, (after, count) =>
            {
                var rows = context.Tokens.AsQueryable();
                if (owner.Length > 0)
                    rows = rows.Where(t => t.Owner == owner);
                if (after.Length > 0)
                {
                    var (before, id) = PageToken.Read(after);
                    rows = rows.Where(t => EF.Functions.LessThan(ValueTuple.Create(t.CreatedAt, t.Id), ValueTuple.Create(before, id)));
                }

                return rows.OrderByDescending(t => t.CreatedAt).ThenByDescending(t => t.Id).Take(count).ToListAsync(token);
            }, rows => Task.FromResult<List<AccessToken>>([.. rows.Select(row => row.ToToken())]),
            last => PageToken.Write(last.CreatedAt, last.Id)), cancellationToken);

    /// <summary>The tokens that a prefix may mean: two tell that it is ambiguous.</summary>
    public Task<IReadOnlyList<TokenRow>> FindAsync(IdPrefix prefix, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<TokenRow>>(async (context, token) =>
        {
            var (low, high) = IdRange.Of(prefix);
            return await context.Tokens.Where(t => t.Id >= low && t.Id <= high).OrderBy(t => t.Id).Take(2).ToListAsync(token);
        }, cancellationToken);

    /// <summary>One that is revoked already keeps its time.</summary>
    public Task RevokeAsync(Guid id, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                "update tokens set revoked_at = $2 where id = $1 and revoked_at is null", connection)
            {
                Parameters = { new() { Value = id }, new() { Value = time.GetUtcNow() } },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>Notes when tokens were used, each at most once a minute.</summary>
    public Task NoteUsesAsync(IReadOnlyCollection<KeyValuePair<Guid, DateTimeOffset>> uses, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                update tokens t set last_used_at = used.at from unnest($1, $2) used (id, at)
                where t.id = used.id and (t.last_used_at is null or t.last_used_at <= used.at - interval '1 minute')
                """, connection)
            {
                Parameters =
                {
                    new() { Value = uses.Select(use => use.Key).ToArray() },
                    new() { Value = uses.Select(use => use.Value).ToArray() },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    internal static NpgsqlCommand InsertInto(NpgsqlConnection connection, TokenRow row) => new(
        """
        insert into tokens (hash, id, name, owner, scope, created_at, created_by, expires_at, node_id, workspaces)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (hash) do nothing
        """, connection)
    {
        Parameters =
        {
            new() { Value = row.Hash }, new() { Value = row.Id }, new() { Value = row.Name }, new() { Value = row.Owner },
            new() { Value = row.Scope.ToString() }, new() { Value = row.CreatedAt }, new() { Value = row.CreatedBy },
            new NpgsqlParameter<DateTimeOffset?> { TypedValue = row.ExpiresAt },
            new NpgsqlParameter<Guid?> { TypedValue = row.NodeId },
            new NpgsqlParameter<string[]?> { TypedValue = row.Workspaces },
        },
    };
}
