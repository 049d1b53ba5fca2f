using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Nodes;

/// <summary>
/// Nodes' leases, one row each while a node is not lost, all by the store's own clock: what a scheduler takes for the time, and when its
/// statement arrives, make no difference.
/// </summary>
/// <remarks>Rows are locked in the order of their nodes, so that statements of several schedulers never wait for each other.</remarks>
internal sealed class LeaseStore(ClusterDatabase database)
{
    /// <summary>Renews the leases of nodes that have not lost them, all in one statement.</summary>
    /// <returns>Those that were renewed. Missing: the node is lost, gone, or of another incarnation.</returns>
    public Task<Dictionary<LeaseHolder, RenewedLease>> RenewAsync(
        IReadOnlyCollection<LeaseHolder> holders, TimeSpan lease, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with held as (
                    select l.node_id, l.expires_at from node_leases l
                    join unnest($1::uuid[], $2::text[]) r (node_id, incarnation) on r.node_id = l.node_id and r.incarnation = l.incarnation
                    order by l.node_id for update of l)
                update node_leases l set expires_at = lease_clock() + $3 from held join nodes n on n.id = held.node_id
                where l.node_id = held.node_id
                returning l.node_id, l.incarnation, lease_clock() - (held.expires_at - $3), n.clean
                """, connection)
            {
                Parameters =
                {
                    new() { Value = holders.Select(h => h.Node.Value).ToArray() },
                    new() { Value = holders.Select(h => h.Incarnation).ToArray() }, new() { Value = lease },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var renewed = new Dictionary<LeaseHolder, RenewedLease>();
            while (await reader.ReadAsync(token))
            {
                renewed.Add(
                    new LeaseHolder(new NodeId(reader.GetGuid(0)), reader.GetString(1)),
                    new RenewedLease(reader.GetTimeSpan(2), reader.GetBoolean(3)));
            }

            return renewed;
        }, cancellationToken);

    /// <summary>Declares nodes lost whose leases had run out at a time; what was granted on them before is gone.</summary>
    /// <param name="asOf">By the store's clock.</param>
    /// <returns>Those that were declared lost by this call.</returns>
    public Task<List<(NodeId Id, string Name)>> ExpireAsync(DateTimeOffset asOf, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with over as (select node_id from node_leases where expires_at <= $1 order by node_id for update),
                gone as (delete from node_leases l using over where l.node_id = over.node_id and l.expires_at <= $1 returning l.node_id)
                update nodes n set state = 'Lost', epoch = epoch + 1, lost_at = $1 from gone where n.id = gone.node_id
                returning n.id, n.name
                """, connection)
            {
                Parameters = { new() { Value = asOf } },
            };
            return await NodeStore.ReadNamesAsync(command, token);
        }, cancellationToken);

    /// <summary>Lets every lease run for one term from now.</summary>
    /// <returns>How many there are.</returns>
    public Task<int> ExtendAsync(TimeSpan lease, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with held as (select node_id from node_leases order by node_id for update)
                update node_leases l set expires_at = lease_clock() + $1 from held where l.node_id = held.node_id
                """, connection)
            {
                Parameters = { new() { Value = lease } },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}

/// <summary>Who renews a lease: a node's agent, since its last start.</summary>
internal readonly record struct LeaseHolder(NodeId Node, string Incarnation);

/// <param name="Ago">Since it was renewed before.</param>
/// <param name="Clean">Whether the node's row says that it may be placed on.</param>
internal sealed record RenewedLease(TimeSpan Ago, bool Clean);
