using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Attempts;

/// <summary>Where the ranks of an attempt learn each other's addresses.</summary>
/// <remarks>
/// The endpoints are in Postgres and the wait is the call's own: a rank whose call broke off, with the scheduler or without, posts
/// again and finds what the others posted before.
/// </remarks>
public sealed class Rendezvous(ClusterDatabase database, JobFeed feed)
{
    // Only where another scheduler took the last post does anyone wait this long.
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    /// <summary>Posts a rank's endpoint and waits until every rank of the attempt has posted under that name.</summary>
    /// <returns>All endpoints, in rank order.</returns>
    /// <exception cref="AttemptFencedException">The attempt is over, perhaps while waiting.</exception>
    public async Task<IReadOnlyList<RankEndpoint>> JoinAsync(
        AttemptCredential credential, string name, RankEndpoint endpoint, CancellationToken cancellationToken)
    {
        using var subscription = feed.Subscribe(credential.Job);
        await database.TransactAsync(async (connection, token) =>
        {
            await AttemptFence.HoldAsync(connection, credential, token);
            await PostAsync(connection, credential, name, endpoint, token);
            return true;
        }, cancellationToken);
        feed.Publish(credential.Job);
        while (true)
        {
            var endpoints = await database.TransactAsync(async (connection, token) =>
            {
                await AttemptFence.HoldAsync(connection, credential, token);
                return await ReadWholeAsync(connection, credential, name, token);
            }, cancellationToken);
            if (endpoints is not null)
                return endpoints;
            await subscription.WaitAsync(Poll, cancellationToken);
        }
    }

    private static async Task PostAsync(
        NpgsqlConnection connection, AttemptCredential credential, string name, RankEndpoint endpoint, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into rendezvous_endpoints values ($1, $2, $3, $4, $5, $6)
            on conflict (job_id, attempt, name, rank) do update set node_id = excluded.node_id, address = excluded.address
            """, connection)
        {
            Parameters =
            {
                new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = name },
                new() { Value = credential.Rank }, new() { Value = endpoint.NodeId }, new() { Value = endpoint.Address },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <returns>Null while a rank is missing.</returns>
    private static async Task<IReadOnlyList<RankEndpoint>?> ReadWholeAsync(
        NpgsqlConnection connection, AttemptCredential credential, string name, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select e.rank, e.node_id, e.address, a.world_size, g.node_name
            from rendezvous_endpoints e join attempts a on a.job_id = e.job_id and a.number = e.attempt
                join device_grants g on g.job_id = e.job_id and g.attempt = e.attempt and g.rank = e.rank
            where e.job_id = $1 and e.attempt = $2 and e.name = $3 and e.rank < a.world_size
            order by e.rank
            """, connection)
        {
            Parameters = { new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = name } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var endpoints = new List<RankEndpoint>();
        var worldSize = -1;
        while (await reader.ReadAsync(cancellationToken))
        {
            endpoints.Add(new RankEndpoint
            {
                Rank = reader.GetInt32(0),
                NodeId = reader.GetString(1),
                Address = reader.GetString(2),
                NodeName = reader.GetString(4),
            });
            worldSize = reader.GetInt32(3);
        }

        return endpoints.Count == worldSize ? endpoints : null;
    }
}
