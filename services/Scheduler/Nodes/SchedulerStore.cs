using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Nodes;

/// <summary>The schedulers on this database, as far as they look after leases; when each was there is told by the store's clock.</summary>
internal sealed class SchedulerStore(ClusterDatabase database, IOptions<PersistenceOptions> options)
{
    /// <summary>Notes that a scheduler is there.</summary>
    /// <returns>The time, and the others.</returns>
    public Task<(DateTimeOffset Now, List<SchedulerSighting> Others)> SeenAsync(string address, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with here as (
                    insert into schedulers (address, seen_at, sessions) values ($1, lease_clock(), $2)
                    on conflict (address) do update set seen_at = excluded.seen_at, sessions = excluded.sessions)
                select clock.now, other.address, clock.now - other.seen_at
                from (select lease_clock()) clock (now) left join schedulers other on other.address <> $1
                """, connection)
            {
                Parameters = { new() { Value = address }, new() { Value = options.Value.Sessions } },
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

    /// <summary>Forgets schedulers that are gone, or that were seen in a future which a clock that was set has put off.</summary>
    public Task ForgetAsync(TimeSpan unseenFor, CancellationToken cancellationToken) => ExecuteAsync(
        "delete from schedulers where seen_at not between lease_clock() - $1 and lease_clock() + $1", unseenFor, cancellationToken);

    /// <summary>
    /// Ends the sessions of a scheduler as it was last seen, and with them the transactions that it left open: what they hold locked nobody
    /// else could write, be the scheduler stopped or its network cut, for as long as its connections seem to live.
    /// </summary>
    /// <returns>How many there were.</returns>
    public Task<int> EndSessionsAsync(string address, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select count(pg_terminate_backend(pid))::int
                from pg_stat_activity join schedulers on starts_with(application_name, sessions)
                where datname = current_database() and address = $1 and sessions <> ''
                """, connection)
            {
                Parameters = { new() { Value = address } },
            };
            return (int)(await command.ExecuteScalarAsync(token))!;
        }, cancellationToken);

    /// <summary>A scheduler stops, and says so: nobody waits for it.</summary>
    public Task LeaveAsync(string address, CancellationToken cancellationToken) =>
        ExecuteAsync("delete from schedulers where address = $1", address, cancellationToken);

    private Task ExecuteAsync(string sql, object parameter, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = parameter } } };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}
