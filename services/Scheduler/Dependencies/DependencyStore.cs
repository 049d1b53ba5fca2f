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

    public static async Task AddTurnsAsync(
        NpgsqlConnection connection, IReadOnlyCollection<(Guid Job, Guid Array, int Place, int AtOnce)> added,
        CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into array_turns (job_id, experiment_id, place, at_once)
            select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[])
            """, connection)
        {
            Parameters =
            {
                new() { Value = added.Select(each => each.Job).ToArray() }, new() { Value = added.Select(each => each.Array).ToArray() },
                new() { Value = added.Select(each => each.Place).ToArray() }, new() { Value = added.Select(each => each.AtOnce).ToArray() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>What those of the jobs wait for that wait for others' ends.</summary>
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

    /// <summary>Lets jobs be placed from now on whose turn it is, too, and others wait until they are told.</summary>
    public Task<int> SettleAsync(
        IReadOnlyCollection<JobId> mayStart, IReadOnlyCollection<JobId> wait, CancellationToken cancellationToken) =>
        database.TransactAsync(async (connection, token) =>
        {
            var (ready, waiting) = (mayStart.Select(job => job.Value).ToArray(), wait.Select(job => job.Value).ToArray());
            await HoldArraysAsync(connection, ready, token);
            // Of an array those come first that go on already. What has become due meanwhile stays so.
            await using var command = new NpgsqlCommand(
                """
                with line as (
                    select t.job_id, t.at_once, row_number() over (
                        partition by t.experiment_id order by q.awaits_jobs, q.state = 'Paused', t.place) as turn
                    from array_turns t join job_queue q using (job_id)
                    where t.experiment_id in (select experiment_id from array_turns where job_id = any($1))),
                settled as (
                    select q.job_id, q.job_id = any($1) and (l.turn is null or l.turn <= l.at_once) as may_start
                    from job_queue q left join line l using (job_id)
                    where q.awaits_jobs and (q.job_id = any($1) or q.job_id = any($2)) order by q.job_id for update of q)
                update job_queue q set awaits_jobs = not may_start,
                    next_due_at = case when forecast_until is null and next_due_at > '-infinity' then null else next_due_at end
                from settled s where q.job_id = s.job_id
                """, connection)
            {
                Parameters = { new() { Value = ready }, new() { Value = waiting } },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>Two who settle jobs of one array do so one after the other.</summary>
    private static async Task HoldArraysAsync(NpgsqlConnection connection, Guid[] jobs, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select 1 from experiments where id in (select experiment_id from array_turns where job_id = any($1)) order by id
            for no key update
            """, connection)
        {
            Parameters = { new() { Value = jobs } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
