using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Ranks;

/// <summary>Where the ranks of an attempt learn each other's addresses.</summary>
/// <remarks>
/// The endpoints are in Postgres and the wait is the call's own: a rank whose call broke off, with the scheduler or without, posts
/// again and finds what the others posted before.
/// </remarks>
public sealed class Rendezvous(ClusterDatabase database, IGrainFactory grains, JobFeed feed, TimeProvider time)
{
    /// <summary>How long a call waits before it says for whom, so that its rank can tell people.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Posts a rank's endpoint and waits until every rank of the attempt has posted under that name; or posts what the rank does before.
    /// </summary>
    /// <returns>All endpoints, in rank order; or, after <paramref name="patience"/>, the ranks that are missing.</returns>
    /// <exception cref="AttemptFencedException">The attempt is over, perhaps while waiting.</exception>
    public async Task<RendezvousResponse> JoinAsync(
        AttemptCredential credential, RendezvousRequest request, TimeSpan patience, CancellationToken cancellationToken)
    {
        // Also for the attempt's end.
        using var subscription = feed.Subscribe(credential.Job, JobChange.Rendezvous | JobChange.State);
        await database.TransactAsync(async (connection, token) =>
        {
            await AttemptFence.HoldAsync(connection, credential, token);
            await PostAsync(connection, credential, request, token);
            return true;
        }, cancellationToken);
        await grains.GetGrain<IJobGrain>(credential.Job.Value).RankLivesAsync(credential.Attempt, credential.Rank);
        if (request.Preparing.Length > 0)
            return new RendezvousResponse();
        var began = time.GetTimestamp();
        for (var isFirstLook = true; ; isFirstLook = false)
        {
            var left = patience - time.GetElapsedTime(began);
            var response = await LookAsync(credential, request.Name, mayWait: left > TimeSpan.Zero, cancellationToken);
            // Who finds all there right after posting may be the last; all others wait for that one.
            if (isFirstLook && response is { Endpoints.Count: > 0 })
                feed.Publish(credential.Job, JobChange.Rendezvous);
            if (response is not null)
                return response;
            await subscription.WaitAsync(left < JobFeed.Poll ? left : JobFeed.Poll, cancellationToken);
        }
    }

    /// <returns>Null: some are missing and are waited for.</returns>
    private Task<RendezvousResponse?> LookAsync(
        AttemptCredential credential, string name, bool mayWait, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            await AttemptFence.HoldAsync(connection, credential, token);
            if (await ReadWholeAsync(connection, credential, name, token) is { } endpoints)
                return new RendezvousResponse { Endpoints = { endpoints } };
            return mayWait ? null : new RendezvousResponse { Missing = { await ReadMissingAsync(connection, credential, name, token) } };
        }, cancellationToken);

    private static async Task PostAsync(
        NpgsqlConnection connection, AttemptCredential credential, RendezvousRequest request, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into rendezvous_endpoints values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (job_id, attempt, name, rank) do update
                set node_id = excluded.node_id, address = excluded.address, preparing = excluded.preparing
            """, connection)
        {
            Parameters =
            {
                new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = request.Name },
                new() { Value = credential.Rank }, new() { Value = request.Endpoint.NodeId },
                new() { Value = request.Endpoint.Address }, new() { Value = request.Preparing },
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
            where e.job_id = $1 and e.attempt = $2 and e.name = $3 and e.rank < a.world_size and e.preparing = ''
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

    private static async Task<List<MissingRank>> ReadMissingAsync(
        NpgsqlConnection connection, AttemptCredential credential, string name, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select g.rank, g.node_name, coalesce(e.preparing, '')
            from device_grants g
            left join rendezvous_endpoints e on e.job_id = g.job_id and e.attempt = g.attempt and e.rank = g.rank and e.name = $3
            where g.job_id = $1 and g.attempt = $2 and (e.rank is null or e.preparing <> '')
            order by g.rank
            """, connection)
        {
            Parameters = { new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = name } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var missing = new List<MissingRank>();
        while (await reader.ReadAsync(cancellationToken))
            missing.Add(new MissingRank { Rank = reader.GetInt32(0), NodeName = reader.GetString(1), Preparing = reader.GetString(2) });
        return missing;
    }
}
