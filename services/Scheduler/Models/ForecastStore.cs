using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Models;

/// <summary>What waiting jobs are expected to take, set-wise.</summary>
internal sealed class ForecastStore(ClusterDatabase database)
{
    /// <summary>The specs of those of the jobs that still wait for their forecast.</summary>
    public Task<List<(JobId Job, JobSpec Spec)>> SpecsAsync(IReadOnlyCollection<JobId> jobs, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select j.id, j.spec from jobs j join job_queue q on q.job_id = j.id
                where j.id = any($1) and q.forecast_until is not null
                """, connection)
            {
                Parameters = { new() { Value = jobs.Select(job => job.Value).ToArray() } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var specs = new List<(JobId, JobSpec)>();
            while (await reader.ReadAsync(token))
                specs.Add((new JobId(reader.GetGuid(0)), SpecColumn.Read(reader.GetFieldValue<byte[]>(1))));
            return specs;
        }, cancellationToken);

    /// <summary>Lets jobs be placed from now on, by their forecast or, where that is null, without one.</summary>
    public Task<int> SettleAsync(IReadOnlyCollection<(JobId Job, MemoryEstimate? Memory)> found, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            var memory = found.Select(each => PlacementNames.MemoryOf(each.Memory)).ToList();
            await using var command = new NpgsqlCommand(
                """
                with found as (
                    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) f (job_id, memory, cpu_bytes, gpu_bytes)),
                awaited as (
                    select f.* from found f join job_queue q using (job_id) where q.forecast_until is not null
                    order by job_id for update of q),
                settled as (
                    update job_queue q
                    set forecast_until = null, next_due_at = case when q.awaits_jobs then q.next_due_at end,
                        cpu_bytes = a.cpu_bytes, gpu_bytes = a.gpu_bytes
                    from awaited a where q.job_id = a.job_id)
                update jobs j set memory = a.memory::jsonb from awaited a where j.id = a.job_id and a.memory is not null
                """, connection)
            {
                Parameters =
                {
                    new() { Value = found.Select(each => each.Job.Value).ToArray() },
                    new() { Value = found.Select(each => each.Memory is null ? null : JsonColumn.Write(each.Memory)).ToArray() },
                    new() { Value = memory.Select(each => each.Cpu).ToArray() },
                    new() { Value = memory.Select(each => each.Gpu).ToArray() },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}
