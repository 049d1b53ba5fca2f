using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Audit;

/// <summary>Where entries are written, read, and once they are old taken away; nothing changes them.</summary>
internal sealed class AuditStore(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase writing, [FromKeyedServices(StorePool.Queries)] ClusterDatabase reading)
{
    public Task AppendAsync(IReadOnlyCollection<AuditRow> rows, CancellationToken cancellationToken) =>
        writing.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                insert into audit (time, who, token, origin, action, object, status, detail, left_out)
                select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """, connection)
            {
                Parameters =
                {
                    new() { Value = rows.Select(row => row.Time).ToArray() }, new() { Value = rows.Select(row => row.Who).ToArray() },
                    new() { Value = rows.Select(row => row.Token).ToArray() }, new() { Value = rows.Select(row => row.Origin).ToArray() },
                    new() { Value = rows.Select(row => row.Action).ToArray() }, new() { Value = rows.Select(row => row.Object).ToArray() },
                    new() { Value = rows.Select(row => row.Status).ToArray() }, new() { Value = rows.Select(row => row.Detail).ToArray() },
                    new() { Value = rows.Select(row => row.LeftOut).ToArray() },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>Newest first.</summary>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<AuditEntry>> ListAsync(ListAuditRequest filter, int pageSize, CancellationToken cancellationToken) =>
        reading.WithEntitiesAsync(
            (context, token) => Page.FillAsync(pageSize, filter.PageToken, (after, count) =>
            {
                var rows = Matching(context.Audit, filter);
                if (after.Length > 0)
                {
                    var last = PageToken.ReadSequence(after);
                    rows = rows.Where(a => a.Sequence < last);
                }

                return rows.OrderByDescending(a => a.Sequence).Take(count).ToListAsync(token);
            }, rows => Task.FromResult<List<AuditEntry>>([.. rows.Select(row => row.ToEntry())]),
            last => PageToken.Write(last.Sequence)), cancellationToken);

    /// <returns>How many entries went.</returns>
    public async Task<long> RemoveAsync(DateTimeOffset before, CancellationToken cancellationToken)
    {
        var (removed, some) = (0L, 0);
        do
        {
            some = await writing.TransactAsync(async (connection, token) =>
            {
                await using var batch = new NpgsqlBatch(connection)
                {
                    BatchCommands =
                    {
                        // Without it the table refuses.
                        new("set local cluster.retention = 'audit'"),
                        new("""
                            delete from audit where sequence in (
                                select sequence from audit where time < $1 order by time limit 1000)
                            """) { Parameters = { new() { Value = before } } },
                    },
                };
                return await batch.ExecuteNonQueryAsync(token);
            }, cancellationToken);
            removed += Math.Max(some, 0);
        }
        while (some > 0);

        return removed;
    }

    private static IQueryable<AuditRow> Matching(IQueryable<AuditRow> rows, ListAuditRequest filter)
    {
        if (filter.Who.Length > 0)
            rows = rows.Where(a => a.Who == filter.Who);
        if (filter.Action.Length > 0)
            rows = rows.Where(a => a.Action == filter.Action || a.Action.EndsWith("/" + filter.Action));
        if (filter.Object.Length > 0)
            rows = rows.Where(a => a.Object == filter.Object);
        if (filter.Status.Length > 0)
            rows = rows.Where(a => a.Status == filter.Status);
        if (filter.Since?.ToDateTimeOffset() is { } since)
            rows = rows.Where(a => a.Time >= since);
        if (filter.Until?.ToDateTimeOffset() is { } until)
            rows = rows.Where(a => a.Time < until);
        return rows;
    }
}
