using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>What is to be done for jobs at a time that has come, for whichever scheduler claims it first.</summary>
/// <remarks>
/// A claim puts the job's due time off by its term. Who has done the work writes when it is due next; whoever dies before that leaves it to
/// the next claim.
/// </remarks>
internal sealed class DueWork(ClusterDatabase database, IOptions<JobOptions> options)
{
    // A claim's jobs are touched together: as many as a store and agents bear at once.
    private const int JobsAtOnce = 500;

    /// <summary>Takes up what was due by a time, the longest due first, and no more than can be done together.</summary>
    public Task<DueClaim> ClaimAsync(DateTimeOffset now, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands =
                {
                    // A pause that is over needs nothing but a look at who may start.
                    new("""
                        with due as (
                            select job_id, next_due_at from job_queue where next_due_at <= $1
                            order by next_due_at limit $2 for update skip locked)
                        update job_queue q
                        set next_due_at = case
                            when q.state = 'Queued' and q.forecast_until is null and not q.awaits_jobs then null else $3 end
                        from due where q.job_id = due.job_id
                        returning q.job_id, q.version, q.state, q.forecast_until, due.next_due_at, q.awaits_jobs
                        """)
                    {
                        Parameters =
                        {
                            new() { Value = now }, new() { Value = JobsAtOnce }, new() { Value = now + options.Value.ClaimTerm },
                        },
                    },
                    new("select min(next_due_at) from job_queue where next_due_at is not null"),
                },
            };
            await using var reader = await batch.ExecuteReaderAsync(token);
            var jobs = new List<DueJob>();
            while (await reader.ReadAsync(token))
            {
                jobs.Add(new DueJob(
                    new JobId(reader.GetGuid(0)), reader.GetInt64(1), Enum.Parse<JobState>(reader.GetString(2)),
                    reader.IsDBNull(3) ? null : reader.GetFieldValue<DateTimeOffset>(3), reader.GetFieldValue<DateTimeOffset>(4),
                    reader.GetBoolean(5)));
            }

            await reader.NextResultAsync(token);
            await reader.ReadAsync(token);
            return new DueClaim(jobs, reader.IsDBNull(0) ? null : reader.GetFieldValue<DateTimeOffset>(0));
        }, cancellationToken);
}

/// <param name="Next">When more is due, for somebody; null: never, as it is.</param>
internal sealed record DueClaim(IReadOnlyList<DueJob> Jobs, DateTimeOffset? Next);

/// <param name="Version">Of the job's row.</param>
/// <param name="ForecastUntil">Null: it awaits none.</param>
/// <param name="Due">When it was; in the far past: at once.</param>
/// <param name="AwaitsJobs">It waits for others, or did when it was looked at last.</param>
internal sealed record DueJob(
    JobId Job, long Version, JobState State, DateTimeOffset? ForecastUntil, DateTimeOffset Due, bool AwaitsJobs);
