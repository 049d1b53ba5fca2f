using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Access;

/// <summary>How an exchange of a code for a node's token ended.</summary>
public enum EnrollmentOutcome
{
    /// <summary>The token is the node's, since now or since the same call before.</summary>
    Enrolled,
    UnknownCode,
    Expired,

    /// <summary>Another node has used it, or the same one with another token.</summary>
    Used,

    /// <summary>The node is known by another name than the code was given out for.</summary>
    OtherNode,

    /// <summary>More codes are presented than are looked up.</summary>
    TooManyCodes,
}

/// <summary>One-time codes, by which a machine gets a token that speaks for its node alone.</summary>
public sealed class NodeEnrollments(
    ClusterDatabase database, TokenRegister tokens, IOptions<AccessOptions> options, TimeProvider time)
{
    /// <summary>A code that looks right is looked up, and anybody can make one up that does. Machines that are set up come again.</summary>
    public const int LookupsASecond = 20;

    private readonly LookupAllowance _lookups = new(LookupsASecond, time);

    /// <param name="name">What the node is called.</param>
    /// <param name="by">Who asks for the code.</param>
    /// <returns>The code, which is not kept, and until when it can be used.</returns>
    public Task<(string Code, DateTimeOffset ExpiresAt)> OpenAsync(string name, string by, CancellationToken cancellationToken)
    {
        var code = AccessSecret.Make(AccessSecret.Enrollment);
        return database.RunAsync(async (connection, token) =>
        {
            var now = time.GetUtcNow();
            var expires = now + options.Value.EnrollmentDuration;
            await using var command = new NpgsqlCommand(
                """
                insert into enrollments (hash, name, created_by, created_at, expires_at) values ($1, $2, $3, $4, $5)
                on conflict (hash) do nothing
                """, connection)
            {
                Parameters =
                {
                    new() { Value = AccessSecret.Hash(code) }, new() { Value = name }, new() { Value = by }, new() { Value = now },
                    new() { Value = expires },
                },
            };
            await command.ExecuteNonQueryAsync(token);
            return (code, expires);
        }, cancellationToken);
    }

    /// <summary>Makes a token the node's. One that it had before is revoked: the machine has lost it, or was set up anew.</summary>
    public async Task<EnrollmentOutcome> EnrollAsync(
        EnrollmentCode code, NodeId node, byte[] tokenHash, CancellationToken cancellationToken)
    {
        if (!_lookups.TryTake())
            return EnrollmentOutcome.TooManyCodes;
        var outcome = await UseCodeAsync(code, node, tokenHash, cancellationToken);
        // Others hear of it; here the agent's next call may come.
        if (outcome == EnrollmentOutcome.Enrolled)
            await tokens.LoadAsync(cancellationToken);
        return outcome;
    }

    private Task<EnrollmentOutcome> UseCodeAsync(
        EnrollmentCode code, NodeId node, byte[] tokenHash, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            if (await FindAsync(connection, code, token) is not { } enrollment)
                return EnrollmentOutcome.UnknownCode;
            if (enrollment.Node is { } user)
                return user == node && tokenHash.AsSpan().SequenceEqual(enrollment.TokenHash)
                    ? EnrollmentOutcome.Enrolled
                    : EnrollmentOutcome.Used;
            var now = time.GetUtcNow();
            if (enrollment.ExpiresAt <= now)
                return EnrollmentOutcome.Expired;
            if (await HasOtherNameAsync(connection, node, enrollment.Name, token))
                return EnrollmentOutcome.OtherNode;
            await UseAsync(connection, code, node, tokenHash, now, token);
            await using var insert = TokenStore.InsertInto(connection, new TokenRow
            {
                Hash = tokenHash,
                Id = Guid.NewGuid(),
                Name = enrollment.Name,
                Owner = "nodes",
                Scope = Scope.Node,
                CreatedAt = now,
                CreatedBy = enrollment.CreatedBy,
                NodeId = node.Value,
            });
            await insert.ExecuteNonQueryAsync(token);
            return EnrollmentOutcome.Enrolled;
        }, cancellationToken);

    private static async Task<Enrollment?> FindAsync(NpgsqlConnection connection, EnrollmentCode code, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "select name, created_by, expires_at, node_id, token_hash from enrollments where hash = $1 for update", connection)
        {
            Parameters = { new() { Value = code.Hash } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new Enrollment(
                reader.GetString(0), reader.GetString(1), reader.GetFieldValue<DateTimeOffset>(2),
                reader.IsDBNull(3) ? null : new NodeId(reader.GetGuid(3)), reader.IsDBNull(4) ? null : reader.GetFieldValue<byte[]>(4))
            : null;
    }

    /// <summary>By its token, or as it registered: who has a code for one node is not to become another.</summary>
    private static async Task<bool> HasOtherNameAsync(
        NpgsqlConnection connection, NodeId node, string name, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select exists (select from nodes where id = $1 and name <> $2)
                or exists (select from tokens where node_id = $1 and name <> $2 and revoked_at is null)
            """, connection)
        {
            Parameters = { new() { Value = node.Value }, new() { Value = name } },
        };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task UseAsync(
        NpgsqlConnection connection, EnrollmentCode code, NodeId node, byte[] tokenHash, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new("update enrollments set used_at = $2, node_id = $3, token_hash = $4 where hash = $1")
                {
                    Parameters =
                    {
                        new() { Value = code.Hash }, new() { Value = now }, new() { Value = node.Value }, new() { Value = tokenHash },
                    },
                },
                new("update tokens set revoked_at = $2 where node_id = $1 and revoked_at is null")
                {
                    Parameters = { new() { Value = node.Value }, new() { Value = now } },
                },
            },
        };
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private sealed record Enrollment(string Name, string CreatedBy, DateTimeOffset ExpiresAt, NodeId? Node, byte[]? TokenHash);
}
