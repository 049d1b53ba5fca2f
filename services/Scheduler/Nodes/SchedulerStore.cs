using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Nodes;

/// <summary>The schedulers on this database, as far as they look after leases.</summary>
internal sealed class SchedulerStore(ClusterDatabase database)
{
    /// <summary>Notes that a scheduler is there, and forgets those that were seen last before a time.</summary>
    /// <returns>The others that have not been seen since another time.</returns>
    public Task<List<string>> SeenAsync(
        string address, DateTimeOffset now, DateTimeOffset awayBefore, DateTimeOffset goneBefore, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with here as (
                    insert into schedulers values ($1, $2) on conflict (address) do update set seen_at = excluded.seen_at),
                gone as (delete from schedulers where address <> $1 and seen_at < $4)
                select address from schedulers where address <> $1 and seen_at < $3 and seen_at >= $4
                """, connection)
            {
                Parameters =
                {
                    new() { Value = address }, new() { Value = now }, new() { Value = awayBefore }, new() { Value = goneBefore },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var away = new List<string>();
            while (await reader.ReadAsync(token))
                away.Add(reader.GetString(0));
            return away;
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
