using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Retention;

/// <summary>Deletes in small transactions, so that nobody waits long for a lock.</summary>
internal static class Batches
{
    /// <param name="sql">Deletes some of what is to go, and nothing once there is no more.</param>
    /// <returns>How many rows went.</returns>
    public static async Task<long> DeleteAsync(
        this ClusterDatabase database, string sql, object[] parameters, CancellationToken cancellationToken)
    {
        var (all, some) = (0L, 0);
        do
        {
            some = await database.RunAsync(async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(sql, connection);
                foreach (var parameter in parameters)
                    command.Parameters.Add(new NpgsqlParameter { Value = parameter });
                return await command.ExecuteNonQueryAsync(token);
            }, cancellationToken);
            all += some;
        }
        while (some > 0);

        return all;
    }

    public static Task<List<Guid>> IdsAsync(
        this ClusterDatabase database, string sql, object[] parameters, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (var parameter in parameters)
                command.Parameters.Add(new NpgsqlParameter { Value = parameter });
            await using var reader = await command.ExecuteReaderAsync(token);
            var ids = new List<Guid>();
            while (await reader.ReadAsync(token))
                ids.Add(reader.GetGuid(0));
            return ids;
        }, cancellationToken);
}
