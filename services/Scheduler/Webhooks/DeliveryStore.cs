using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Webhooks;

/// <summary>The outbox of events, which the transactions that change jobs' states fill, and which any scheduler empties.</summary>
internal sealed class DeliveryStore(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, IOptions<WebhookOptions> options, TimeProvider time)
{
    // Beyond the limit of a try: another scheduler takes up what one that died has claimed.
    private static readonly TimeSpan ClaimMargin = TimeSpan.FromSeconds(30);

    /// <summary>The webhooks for which something is due.</summary>
    public Task<IReadOnlyList<Guid>> FindDueAsync(CancellationToken cancellationToken) =>
        database.RunAsync<IReadOnlyList<Guid>>(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select id from webhooks w
                where exists (select from webhook_deliveries d where d.webhook_id = w.id and d.next_due_at <= $1)
                """, connection)
            {
                Parameters = { new() { Value = time.GetUtcNow() } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var due = new List<Guid>();
            while (await reader.ReadAsync(token))
                due.Add(reader.GetGuid(0));
            return due;
        }, cancellationToken);

    /// <summary>Begins tries of events that are due, the longest due first.</summary>
    public Task<IReadOnlyList<Delivery>> ClaimAsync(Guid webhook, int most, CancellationToken cancellationToken) =>
        database.RunAsync<IReadOnlyList<Delivery>>(async (connection, token) =>
        {
            var now = time.GetUtcNow();
            await using var command = new NpgsqlCommand(
                """
                with due as (
                    select id from webhook_deliveries where webhook_id = $1 and next_due_at <= $2
                    order by next_due_at, time, sequence limit $3 for update skip locked)
                update webhook_deliveries d set tries = d.tries + 1, next_due_at = $4
                from due, webhooks w where d.id = due.id and w.id = d.webhook_id
                returning d.id, d.tries, w.id, w.name, w.url, w.secret, d.job_id, d.job_name, d.workspace, d.owner, d.sequence, d.time,
                    d.from_state, d.to_state, d.reason, d.attempt, w.owner, w.all_owners, w.workspace
                """, connection)
            {
                Parameters =
                {
                    new() { Value = webhook }, new() { Value = now }, new() { Value = most },
                    new() { Value = now + options.Value.Timeout + ClaimMargin },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var claimed = new List<Delivery>();
            while (await reader.ReadAsync(token))
                claimed.Add(Read(reader));
            return claimed;
        }, cancellationToken);

    public Task<int> DeliveredAsync(Delivery delivery, CancellationToken cancellationToken) => ExecuteAsync(
        """
        with gone as (delete from webhook_deliveries where id = $1)
        update webhooks set last_delivered_at = $3 where id = $2
        """, cancellationToken, delivery.Id, delivery.WebhookId, time.GetUtcNow());

    /// <param name="tryAgainAt">Null: it is given up.</param>
    public Task<int> FailedAsync(Delivery delivery, string fault, DateTimeOffset? tryAgainAt, CancellationToken cancellationToken) =>
        tryAgainAt is { } next
            ? ExecuteAsync(
                """
                with again as (update webhook_deliveries set next_due_at = $5 where id = $1 and tries = $6)
                update webhooks set last_fault = $3, last_fault_at = $4 where id = $2
                """, cancellationToken, delivery.Id, delivery.WebhookId, fault, time.GetUtcNow(), next, delivery.Tries)
            : ExecuteAsync(
                """
                with gone as (delete from webhook_deliveries where id = $1 returning id)
                update webhooks set last_fault = $3, last_fault_at = $4, dead = dead + (select count(*) from gone) where id = $2
                """, cancellationToken, delivery.Id, delivery.WebhookId, fault, time.GetUtcNow());

    /// <summary>Drops what too many wait before, the oldest, and what is left over of webhooks that are gone.</summary>
    /// <returns>How many were dropped of webhooks that are there.</returns>
    public Task<long> TrimAsync(CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with orphans as (
                    delete from webhook_deliveries d where not exists (select from webhooks w where w.id = d.webhook_id)),
                excess as (
                    select e.id from webhooks w cross join lateral (
                        select id from webhook_deliveries where webhook_id = w.id order by time desc, sequence desc offset $1) e),
                gone as (delete from webhook_deliveries d using excess e where d.id = e.id returning d.webhook_id),
                counted as (
                    update webhooks w set dropped = dropped + g.count
                    from (select webhook_id, count(*) from gone group by webhook_id) g where w.id = g.webhook_id)
                select count(*) from gone
                """, connection)
            {
                Parameters = { new() { Value = options.Value.MostPending } },
            };
            return (long)(await command.ExecuteScalarAsync(token))!;
        }, cancellationToken);

    private Task<int> ExecuteAsync(string sql, CancellationToken cancellationToken, params object[] values) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (var value in values)
                command.Parameters.Add(new() { Value = value });
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    private static Delivery Read(NpgsqlDataReader row) => new(
        row.GetGuid(0), row.GetInt32(1), row.GetGuid(2), row.GetString(4), row.GetString(5),
        new WebhookEvent
        {
            Id = $"{row.GetGuid(0)}",
            Webhook = row.GetString(3),
            JobId = $"{row.GetGuid(6)}",
            JobName = row.GetString(7),
            Workspace = row.GetString(8),
            Owner = row.GetString(9),
            Sequence = row.GetInt64(10),
            Time = Timestamp.FromDateTimeOffset(row.GetFieldValue<DateTimeOffset>(11)),
            From = System.Enum.Parse<JobState>(row.GetString(12)),
            To = System.Enum.Parse<JobState>(row.GetString(13)),
            Reason = row.GetString(14),
            Attempt = row.GetInt32(15),
        })
    {
        Reach = new WebhookReach(row.GetBoolean(17) ? null : row.GetString(16), row.GetString(18) is { Length: > 0 } only ? [only] : null),
    };
}

/// <summary>An event of which a try has begun.</summary>
/// <param name="Tries">This one included.</param>
internal sealed record Delivery(Guid Id, int Tries, Guid WebhookId, string Url, string Secret, WebhookEvent Event)
{
    /// <summary>Whose jobs the webhook hears of.</summary>
    public required WebhookReach Reach { get; init; }

    /// <summary>Without the address and the secret.</summary>
    public override string ToString() => $"event {Id} for webhook {Event.Webhook}, try {Tries}";
}
