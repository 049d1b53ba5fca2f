using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Nodes;

/// <summary>The schedulers on this database, as far as they look after leases; when each was there is told by the store's clock.</summary>
internal sealed class SchedulerStore(ClusterDatabase database)
{
    /// <summary>Notes that a scheduler is there, and forgets others that are gone.</summary>
    /// <param name="goneAfter">Since it was seen last.</param>
    /// <returns>The time, and the others.</returns>
    public Task<(DateTimeOffset Now, List<SchedulerSighting> Others)> SeenAsync(
        string address, TimeSpan goneAfter, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with here as (
                    insert into schedulers values ($1, lease_clock()) on conflict (address) do update set seen_at = excluded.seen_at),
                gone as (delete from schedulers where address <> $1 and seen_at < lease_clock() - $2)
                select clock.now, other.address, clock.now - other.seen_at
                from (select lease_clock()) clock (now) left join schedulers other on other.address <> $1
                """, connection)
            {
                Parameters = { new() { Value = address }, new() { Value = goneAfter } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var (now, others) = (DateTimeOffset.MinValue, new List<SchedulerSighting>());
            while (await reader.ReadAsync(token))
            {
                now = reader.GetFieldValue<DateTimeOffset>(0);
                if (!await reader.IsDBNullAsync(1, token))
                    others.Add(new SchedulerSighting(reader.GetString(1), reader.GetTimeSpan(2)));
            }

            return (now, others);
        }, cancellationToken);

    /// <summary>A scheduler stops, and says so: nobody waits for it.</summary>
    public Task LeaveAsync(string address, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("delete from schedulers where address = $1", connection)
            {
                Parameters = { new() { Value = address } },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}
