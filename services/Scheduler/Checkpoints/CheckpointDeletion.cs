using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>Takes away a checkpoint because somebody says so, with the chunks that no other names.</summary>
public sealed class CheckpointDeletion([FromKeyedServices(StorePool.Bulk)] ClusterDatabase database)
{
    /// <exception cref="CheckpointNotFoundException">There is no such checkpoint, or none any more.</exception>
    /// <exception cref="CheckpointInUseException">A job that is not over begins with it, or may go on from it.</exception>
    public Task DeleteAsync(Guid checkpoint, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            if (await CheckpointSql.LockAsync(connection, checkpoint, token) is not { } holder)
                throw new CheckpointNotFoundException($"there is no checkpoint {checkpoint}");
            await RequireUnusedAsync(connection, checkpoint, holder, token);
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    new("delete from checkpoints where id = $1") { Parameters = { new() { Value = checkpoint } } },
                    CheckpointSql.DeleteOrphans(holder),
                },
            };
            return await batch.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>Who submits a job that begins with it holds the same lock, so there can be none that is just coming.</summary>
    private static async Task RequireUnusedAsync(
        NpgsqlConnection connection, Guid checkpoint, Guid holder, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select id from jobs
            where state not in ('Succeeded', 'Failed', 'Cancelled') and (id = $2 or initial_checkpoint = $1)
            order by id = $2 desc limit 1
            """, connection)
        {
            Parameters = { new() { Value = checkpoint }, new() { Value = holder } },
        };
        if (await command.ExecuteScalarAsync(cancellationToken) is not Guid job)
            return;
        throw new CheckpointInUseException(job == holder
            ? $"checkpoint {checkpoint} is of job {job}, which is not over and may go on from it; cancel the job first"
            : $"job {job}, which is not over, begins with checkpoint {checkpoint}; wait for its end, or cancel it first");
    }
}
