using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Attempts;

/// <summary>A node speaks for a rank that was given to another one. gRPC: PermissionDenied.</summary>
public sealed class ForeignRankException(string message) : Exception(message);

/// <summary>Keeps a node from speaking for ranks that were never its.</summary>
internal sealed class RankOwnership(ClusterDatabase database)
{
    /// <remarks>An attempt of which nothing is known, any more or at all, is nobody else's: a late report is no forgery.</remarks>
    /// <param name="rank">Null: any of the attempt's.</param>
    /// <exception cref="ForeignRankException">It was given to another node.</exception>
    public async Task CheckAsync(NodeId node, JobId job, int attempt, int? rank, CancellationToken cancellationToken)
    {
        var isForeign = await database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select not bool_or(node_id = $1) from device_grants
                where job_id = $2 and attempt = $3 and ($4::integer is null or rank = $4)
                """, connection)
            {
                Parameters =
                {
                    new() { Value = node.Value }, new() { Value = job.Value }, new() { Value = attempt },
                    new() { Value = rank as object ?? DBNull.Value },
                },
            };
            return await command.ExecuteScalarAsync(token) is true;
        }, cancellationToken);
        if (isForeign)
        {
            var what = rank is { } one ? $"rank {one} of attempt {attempt}" : $"attempt {attempt}";
            throw new ForeignRankException($"{what} of job {job} was given to another node than {node}, which speaks for its own only");
        }
    }
}
