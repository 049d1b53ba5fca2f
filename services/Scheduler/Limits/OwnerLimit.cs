using System.Collections.Concurrent;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Limits;

/// <summary>Keeps an owner from having more jobs that are not over than <see cref="LimitOptions.JobsPerOwner"/>.</summary>
/// <remarks>
/// Counted again when half of the room is used up that was there at the last count: an ordinary submit asks nobody, and what several
/// schedulers let in beyond the limit is a part of what was left. The trials that a search may still make count as if they were there.
/// </remarks>
public sealed class OwnerLimit([FromKeyedServices(StorePool.Queries)] ClusterDatabase database, IOptions<LimitOptions> options)
{
    private readonly ConcurrentDictionary<string, int> _left = new();

    /// <exception cref="TooManyJobsException">There is no room for so many more.</exception>
    public async Task EnsureRoomAsync(string owner, int jobs, CancellationToken cancellationToken)
    {
        while (_left.TryGetValue(owner, out var left) && left >= jobs)
        {
            if (_left.TryUpdate(owner, left - jobs, left))
                return;
        }

        var limit = options.Value.JobsPerOwner;
        var held = await CountAsync(owner, limit, cancellationToken);
        if (jobs > limit - held)
            throw new TooManyJobsException(
                $"{owner} has {held} {(held == 1 ? "job that is" : "jobs that are")} not over, and {jobs} more would be more than {limit} "
                    + "(Limits:JobsPerOwner); "
                    + "wait until some are over, or cancel some");
        _left[owner] = (limit - held - jobs) / 2;
    }

    private Task<int> CountAsync(string owner, int most, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select least($2, (select count(*) from (select from job_queue where owner = $1 limit $2) held)
                    + coalesce((
                        select sum(greatest(0, (state::json->'limits'->>'maxTrials')::integer - json_array_length(state::json->'trials')))
                        from searches s join experiments e on e.id = s.experiment_id
                        where e.owner = $1 and s.phase in ('Running', 'Paused')), 0))::integer
                """, connection)
            {
                Parameters = { new() { Value = owner }, new() { Value = most } },
            };
            return (int)(await command.ExecuteScalarAsync(token))!;
        }, cancellationToken);
}

/// <summary>An owner has as many jobs as one may have. The message says how many, and which setting that is.</summary>
public sealed class TooManyJobsException(string message) : Exception(message);
