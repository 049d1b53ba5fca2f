using Cluster.Placement.Forecasts;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Placement;

/// <summary>When waiting jobs are expected to start.</summary>
internal sealed class ExpectedStartStore(ClusterDatabase database)
{
    /// <summary>Replaces all that is written; what is said to a job for the first time is kept.</summary>
    public Task<int> WriteAsync(IReadOnlyCollection<JobForecast> jobs, DateTimeOffset now, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with told as (
                    select * from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[]) t (job_id, likely, late, sooner)),
                gone as (delete from expected_starts where not job_id = any($1)),
                first as (
                    insert into start_predictions (job_id, queue, predicted_at, likely, late)
                    select job_id, queue, $5, likely, late from told join job_queue q using (job_id) where state = 'Queued'
                    on conflict do nothing)
                insert into expected_starts select * from told
                on conflict (job_id) do update set likely = excluded.likely, late = excluded.late, sooner = excluded.sooner
                """, connection)
            {
                Parameters =
                {
                    new() { Value = jobs.Select(j => j.Job.Value).ToArray() }, new() { Value = jobs.Select(j => j.Start.Likely).ToArray() },
                    new() { Value = jobs.Select(j => j.Start.Late).ToArray() },
                    new() { Value = jobs.Select(j => string.Join('\n', j.Sooner)).ToArray() }, new() { Value = now },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}
