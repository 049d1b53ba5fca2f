using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;

namespace Cluster.Scheduler.Nodes;

/// <summary>Nodes as they registered, and who keeps them from new jobs. Their leases are <see cref="LeaseStore"/>'s.</summary>
internal sealed class NodeStore(ClusterDatabase database)
{
    public Task<NodeRow?> LoadAsync(NodeId id, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync((context, token) => context.Nodes.SingleOrDefaultAsync(n => n.Id == id.Value, token), cancellationToken);

    public Task<List<NodeRow>> AllAsync(CancellationToken cancellationToken) =>
        database.WithEntitiesAsync((context, token) => context.Nodes.OrderBy(n => n.Id).ToListAsync(token), cancellationToken);

    /// <summary>How those of the nodes stand that are known.</summary>
    public Task<Dictionary<Guid, NodeStanding>> StandingsAsync(IReadOnlyCollection<Guid> ids, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => context.Nodes.Where(n => ids.Contains(n.Id)).Select(n => new { n.Id, n.Epoch, n.Drain })
                .ToDictionaryAsync(n => n.Id, n => new NodeStanding(n.Epoch, n.Drain), token),
            cancellationToken);

    /// <summary>
    /// Stores what the node is now, with a new lease. Another incarnation than before raises the epoch; a drain stays.
    /// </summary>
    public Task RegisterAsync(NodeId id, NodeRegistration registration, TimeSpan lease, bool clean, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            // The lease before the node, as when it runs out.
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    new("select from node_leases where node_id = $1 for update") { Parameters = { new() { Value = id.Value } } },
                    new(
                        """
                        insert into nodes (id, name, agent_address, agent_version, incarnation, epoch, state, clean, devices, labels,
                            data_sets, registered_at)
                        values ($1, $2, $3, $4, $5, 1, 'Ready', $6, $7::jsonb, $8::jsonb, $9, lease_clock())
                        on conflict (id) do update set
                            name = excluded.name, agent_address = excluded.agent_address, agent_version = excluded.agent_version,
                            epoch = nodes.epoch + (nodes.incarnation <> excluded.incarnation)::integer,
                            incarnation = excluded.incarnation, state = 'Ready', clean = excluded.clean, devices = excluded.devices,
                            labels = excluded.labels, data_sets = excluded.data_sets, registered_at = excluded.registered_at,
                            lost_at = null
                        """)
                    {
                        Parameters =
                        {
                            new() { Value = id.Value }, new() { Value = registration.Name }, new() { Value = registration.AgentAddress },
                            new() { Value = registration.AgentVersion }, new() { Value = registration.Incarnation },
                            new() { Value = clean },
                            new() { Value = JsonColumn.Write<IReadOnlyList<NodeDevice>>(registration.Devices) },
                            new() { Value = JsonColumn.Write<IReadOnlyDictionary<string, string>>(registration.Labels) },
                            new() { Value = registration.DataSets.ToArray() },
                        },
                    },
                    new(
                        """
                        insert into node_leases values ($1, $2, lease_clock() + $3)
                        on conflict (node_id) do update set incarnation = excluded.incarnation, expires_at = excluded.expires_at
                        """)
                    {
                        Parameters = { new() { Value = id.Value }, new() { Value = registration.Incarnation }, new() { Value = lease } },
                    },
                },
            };
            return await batch.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>Replaces what was registered.</summary>
    /// <returns>False when the node is lost, gone, or of another incarnation.</returns>
    public Task<bool> UpdateDataSetsAsync(NodeId id, NodeDataSets data, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                "update nodes set data_sets = $3 where id = $1 and incarnation = $2 and state = 'Ready'", connection)
            {
                Parameters = { new() { Value = id.Value }, new() { Value = data.Incarnation }, new() { Value = data.DataSets.ToArray() } },
            };
            return await command.ExecuteNonQueryAsync(token) == 1;
        }, cancellationToken);

    /// <summary>Whether placement may use the node.</summary>
    public Task SetCleanAsync(NodeId id, string incarnation, bool clean, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                "update nodes set clean = $3 where id = $1 and incarnation = $2 and clean <> $3", connection)
            {
                Parameters = { new() { Value = id.Value }, new() { Value = incarnation }, new() { Value = clean } },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>Keeps the node from new jobs, or no more: then what failed there before is forgotten.</summary>
    /// <returns>False if it is gone.</returns>
    public Task<bool> SetDrainAsync(NodeId id, Drain? drain, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with forgotten as (delete from node_faults where node_id = $1 and $2::jsonb is null)
                update nodes set drain = $2::jsonb where id = $1
                """, connection)
            {
                Parameters =
                {
                    new() { Value = id.Value },
                    new() { Value = drain is null ? DBNull.Value : JsonColumn.Write(drain), NpgsqlDbType = NpgsqlDbType.Text },
                },
            };
            return await command.ExecuteNonQueryAsync(token) == 1;
        }, cancellationToken);

    /// <summary>
    /// Forgets lost nodes: those that were lost long ago, and those whose name another one has taken since, which is the same machine with
    /// an empty disk, or its successor. Not while a device of theirs is still granted.
    /// </summary>
    /// <remarks>
    /// While both live they are two machines of one name: that one of them is nobody's successor only its lease can tell.
    /// </remarks>
    public Task<List<(NodeId Id, string Name)>> ForgetAsync(TimeSpan lostFor, CancellationToken cancellationToken) =>
        DeleteAsync(
            """
            (n.lost_at < lease_clock() - $1 or exists (
                select from nodes s where s.name = n.name and s.state = 'Ready' and s.registered_at > n.registered_at))
            """, lostFor, cancellationToken);

    /// <summary>Forgets a lost node.</summary>
    /// <returns>False if it is not lost, or a device of it is still granted.</returns>
    public async Task<bool> RemoveAsync(NodeId id, CancellationToken cancellationToken) =>
        (await DeleteAsync("n.id = $1", id.Value, cancellationToken)).Count == 1;

    /// <summary>The jobs that hold a device of the node.</summary>
    public Task<List<JobId>> HoldersAsync(NodeId id, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            var jobs = await context.DeviceGrants.Where(g => g.NodeId == id.Value && g.ReleasedAt == null).Select(g => g.JobId).Distinct()
                .ToListAsync(token);
            return jobs.ConvertAll(job => new JobId(job));
        }, cancellationToken);

    /// <summary>Whether another node that lives is reached at the address.</summary>
    public Task<bool> AddressTakenAsync(NodeId id, string agentAddress, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => context.Nodes.AnyAsync(
                n => n.Id != id.Value && n.AgentAddress == agentAddress && n.State == NodeState.Ready, token),
            cancellationToken);

    /// <summary>How many other nodes of that name live.</summary>
    public Task<int> NamesakesAsync(NodeId id, string name, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => context.Nodes.CountAsync(n => n.Id != id.Value && n.Name == name && n.State == NodeState.Ready, token),
            cancellationToken);

    /// <summary>Of the attempts given, those that hold no device of the node in the node's present epoch.</summary>
    /// <param name="incarnation">The one about to be stored: a new one makes all earlier grants stale.</param>
    public Task<List<AttemptKey>> StaleAsync(
        NodeId id, string incarnation, IReadOnlyList<AttemptKey> running, CancellationToken cancellationToken)
    {
        if (running.Count == 0)
            return Task.FromResult(new List<AttemptKey>());
        return database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select r.job, r.attempt from unnest($3::uuid[], $4::integer[]) r (job, attempt)
                where not exists (
                    select 1 from device_grants g join nodes n on n.id = g.node_id
                    where g.node_id = $1 and g.job_id = r.job and g.attempt = r.attempt and g.released_at is null and not g.lost
                        and g.node_epoch = n.epoch and n.incarnation = $2)
                """, connection)
            {
                Parameters =
                {
                    new() { Value = id.Value }, new() { Value = incarnation },
                    new() { Value = running.Select(r => r.Job.Value).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid },
                    new() { Value = running.Select(r => r.Attempt).ToArray() },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var stale = new List<AttemptKey>();
            while (await reader.ReadAsync(token))
                stale.Add(new AttemptKey(new JobId(reader.GetGuid(0)), reader.GetInt32(1)));
            return stale;
        }, cancellationToken);
    }

    /// <param name="which">A condition on the node n, with one parameter.</param>
    private Task<List<(NodeId Id, string Name)>> DeleteAsync(string which, object parameter, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                $"""
                delete from nodes n where n.state = 'Lost' and {which}
                    and not exists (select from device_grants g where g.node_id = n.id and g.released_at is null)
                returning n.id, n.name
                """, connection)
            {
                Parameters = { new() { Value = parameter } },
            };
            return await ReadNamesAsync(command, token);
        }, cancellationToken);

    internal static async Task<List<(NodeId Id, string Name)>> ReadNamesAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var nodes = new List<(NodeId, string)>();
        while (await reader.ReadAsync(cancellationToken))
            nodes.Add((new NodeId(reader.GetGuid(0)), reader.GetString(1)));
        return nodes;
    }
}

/// <summary>What a job needs to know of a node that it holds devices of.</summary>
/// <param name="Epoch">Of another one what was granted is gone.</param>
/// <param name="Drain">Null while nobody keeps the node from new jobs.</param>
internal sealed record NodeStanding(long Epoch, Drain? Drain);
