using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Npgsql;

namespace Cluster.Scheduler.Webhooks;

/// <summary>Which webhooks there are, and how their deliveries fare.</summary>
internal sealed class WebhookStore([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    /// <param name="most">How many webhooks there may be.</param>
    public Task<WebhookCreation> CreateAsync(Webhook webhook, string secret, int most, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                insert into webhooks (id, name, owner, url, secret, states, workspace, all_owners, created_at)
                select $1, $2, $3, $4, $5, $6, $7, $8, $9 where (select count(*) from webhooks) < $10 or exists (
                    select from webhooks where name = $2)
                on conflict (name) do nothing
                """, connection);
            object[] values =
            [
                Guid.NewGuid(), webhook.Name, webhook.Owner, webhook.Url, secret, webhook.States.Select(state => $"{state}").ToArray(),
                webhook.Workspace, webhook.AllOwners, webhook.CreatedAt.ToDateTimeOffset(), most,
            ];
            foreach (var value in values)
                command.Parameters.Add(new() { Value = value });
            if (await command.ExecuteNonQueryAsync(token) > 0)
                return WebhookCreation.Created;
            await using var find = new NpgsqlCommand("select exists (select from webhooks where name = $1)", connection)
            {
                Parameters = { new() { Value = webhook.Name } },
            };
            return await find.ExecuteScalarAsync(token) is true ? WebhookCreation.NameIsTaken : WebhookCreation.TooMany;
        }, cancellationToken);

    /// <summary>By name.</summary>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<Webhook>> ListAsync(WebhookReach reach, int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.RunAsync((connection, token) => Page.FillAsync(pageSize, pageToken, (after, count) =>
        {
            var last = after.Length > 0 ? PageToken.ReadName(after).Name : "";
            return ReadAsync(connection, reach, last, count, token);
        }, Task.FromResult, last => PageToken.Write(last.Name, Guid.Empty)), cancellationToken);

    /// <returns>The secret to sign with, and where to; null: there is no such webhook within reach.</returns>
    public Task<(string Url, string Secret)?> FindAsync(string name, WebhookReach reach, CancellationToken cancellationToken) =>
        database.RunAsync<(string, string)?>(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                $"select url, secret from webhooks where name = $1 and {WebhookReach.Sql}", connection)
            {
                Parameters = { new() { Value = name }, reach.OwnerParameter, reach.OnlyParameter },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            return await reader.ReadAsync(token) ? (reader.GetString(0), reader.GetString(1)) : null;
        }, cancellationToken);

    /// <summary>With what is still to be delivered to it.</summary>
    /// <returns>False: there is no such webhook within reach.</returns>
    public Task<bool> DeleteAsync(string name, WebhookReach reach, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                $"""
                with gone as (delete from webhooks where name = $1 and {WebhookReach.Sql} returning id),
                undelivered as (delete from webhook_deliveries where webhook_id in (select id from gone))
                select exists (select from gone)
                """, connection)
            {
                Parameters = { new() { Value = name }, reach.OwnerParameter, reach.OnlyParameter },
            };
            return await command.ExecuteScalarAsync(token) is true;
        }, cancellationToken);

    private static async Task<List<Webhook>> ReadAsync(
        NpgsqlConnection connection, WebhookReach reach, string after, int count, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
            select name, owner, url, states, workspace, all_owners, created_at, dead, dropped, last_delivered_at, last_fault, last_fault_at,
                (select count(*) from webhook_deliveries where webhook_id = w.id)
            from webhooks w where name > $1 and {WebhookReach.Sql} order by name limit $4
            """, connection)
        {
            Parameters = { new() { Value = after }, reach.OwnerParameter, reach.OnlyParameter, new() { Value = count } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var found = new List<Webhook>();
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new Webhook
            {
                Name = reader.GetString(0),
                Owner = reader.GetString(1),
                Url = reader.GetString(2),
                States = { reader.GetFieldValue<string[]>(3).Select(System.Enum.Parse<JobState>) },
                Workspace = reader.GetString(4),
                AllOwners = reader.GetBoolean(5),
                CreatedAt = Time(6),
                Dead = reader.GetInt64(7),
                Dropped = reader.GetInt64(8),
                LastDeliveredAt = Time(9),
                LastFault = reader.GetString(10),
                LastFaultAt = Time(11),
                Pending = reader.GetInt64(12),
            });
        }

        return found;

        Timestamp? Time(int column) =>
            reader.IsDBNull(column) ? null : Timestamp.FromDateTimeOffset(reader.GetFieldValue<DateTimeOffset>(column));
    }
}

/// <summary>Which webhooks a caller sees and changes.</summary>
/// <param name="Owner">Null: everyone's.</param>
/// <param name="Only">Those of these workspaces; null: any.</param>
internal sealed record WebhookReach(string? Owner, string[]? Only)
{
    /// <summary>As a condition on webhooks, by $2 and $3.</summary>
    public const string Sql = "($2 is null or owner = $2) and ($3 is null or workspace = any ($3))";

    public NpgsqlParameter OwnerParameter => new NpgsqlParameter<string?> { TypedValue = Owner };

    public NpgsqlParameter OnlyParameter => new NpgsqlParameter<string[]?> { TypedValue = Only };
}

internal enum WebhookCreation
{
    Created,
    NameIsTaken,
    TooMany,
}
