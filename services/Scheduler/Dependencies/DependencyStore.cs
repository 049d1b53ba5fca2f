using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Dependencies;

/// <summary>Which jobs wait for which.</summary>
/// <remarks>
/// A job that is over makes those due that wait for it, in the transaction that says so; who stores one that waits holds the rows of those
/// meanwhile. So no end is missed: it comes before, and is read, or after, and is told.
/// </remarks>
internal sealed class DependencyStore(ClusterDatabase database)
{
    /// <summary>Keeps those of the jobs that are not over from ending before the transaction does.</summary>
    public static async Task HoldAsync(NpgsqlConnection connection, IEnumerable<Guid> jobs, CancellationToken cancellationToken)
    {
        // In one order, so that two who hold the same cannot wait for each other.
        await using var command = new NpgsqlCommand(
            "select 1 from job_queue where job_id = any($1) order by job_id for share", connection)
        {
            Parameters = { new() { Value = jobs.ToArray() } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static async Task AddAsync(
        NpgsqlConnection connection, IReadOnlyCollection<(Guid Job, Dependency On)> added, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "insert into job_dependencies (job_id, on_job, wanted) select * from unnest($1::uuid[], $2::uuid[], $3::text[])", connection)
        {
            Parameters =
            {
                new() { Value = added.Select(each => each.Job).ToArray() },
                new() { Value = added.Select(each => Guid.Parse(each.On.Job)).ToArray() },
                new() { Value = added.Select(each => each.On.State.ToString()).ToArray() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>What those of the jobs wait for that wait.</summary>
    public Task<Dictionary<JobId, List<Prerequisite>>> ReadAsync(
        IReadOnlyCollection<JobId> jobs, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                select d.job_id, d.on_job, d.wanted, j.state from job_dependencies d left join jobs j on j.id = d.on_job
                where d.job_id = any($1) order by d.job_id, d.on_job
                """, connection)
            {
                Parameters = { new() { Value = jobs.Select(job => job.Value).ToArray() } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var found = new Dictionary<JobId, List<Prerequisite>>();
            while (await reader.ReadAsync(token))
            {
                var job = new JobId(reader.GetGuid(0));
                if (!found.TryGetValue(job, out var prerequisites))
                    found.Add(job, prerequisites = []);
                prerequisites.Add(new Prerequisite(
                    new JobId(reader.GetGuid(1)), Enum.Parse<DependencyState>(reader.GetString(2)),
                    reader.IsDBNull(3) ? null : Enum.Parse<JobState>(reader.GetString(3))));
            }

            return found;
        }, cancellationToken);

    /// <summary>Lets jobs be placed from now on, and others wait until they are told.</summary>
    public Task<int> SettleAsync(
        IEnumerable<JobId> mayStart, IEnumerable<JobId> wait, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            // What has become due meanwhile stays so.
            await using var command = new NpgsqlCommand(
                """
                with settled as (
                    select job_id, job_id = any($1) as may_start from job_queue
                    where awaits_jobs and (job_id = any($1) or job_id = any($2)) order by job_id for update)
                update job_queue q set awaits_jobs = not may_start,
                    next_due_at = case when forecast_until is null and next_due_at > '-infinity' then null else next_due_at end
                from settled s where q.job_id = s.job_id
                """, connection)
            {
                Parameters =
                {
                    new() { Value = mayStart.Select(job => job.Value).ToArray() },
                    new() { Value = wait.Select(job => job.Value).ToArray() },
                },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}
