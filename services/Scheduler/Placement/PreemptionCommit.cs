using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement.Preemption;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Placement;

/// <summary>
/// Tells a plan's victims to write a checkpoint and to release their devices: an eviction, all of the plan's in one transaction. What is
/// stored their grains carry out.
/// </summary>
/// <remarks>
/// A job whose rows somebody writes at this moment, or that ends already, is left out and not waited for: the next cycle decides anew.
/// </remarks>
internal sealed class PreemptionCommit(ClusterDatabase database, TimeProvider time)
{
    /// <param name="grace">How long they have for a checkpoint.</param>
    /// <returns>Those that were told.</returns>
    public Task<ImmutableArray<ToldVictim>> CommitAsync(
        ImmutableArray<PreemptedJob> victims, TimeSpan grace, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with victim as (select * from unnest($1::uuid[], $2::uuid[], $3::text[]) v (job_id, for_job, reason)),
                held as (
                    select v.*, j.state, j.attempt as number, j.version + 1 as version, j.last_event + 1 as event
                    from victim v join job_queue q using (job_id) join jobs j on j.id = v.job_id
                    join attempts a on a.job_id = j.id and a.number = j.attempt
                    where j.state in ('Starting', 'Running') and a.state <> 'Ending' and a.ended_at is null and not exists (
                        select 1 from device_grants g where g.job_id = j.id and g.attempt = j.attempt and g.gone_at is not null)
                    order by v.job_id for update of q, j, a skip locked),
                ending as (
                    update attempts a set state = 'Ending', ending_at = $4, reason = h.reason, preempted_for = h.for_job, release_by = $5
                    from held h where a.job_id = h.job_id and a.number = h.number),
                told as (
                    insert into job_events (job_id, sequence, time, from_state, to_state, reason, attempt)
                    select job_id, event, $4, state, 'Stopping', reason, number from held),
                due as (
                    update job_queue q set state = 'Stopping', version = h.version, next_due_at = '-infinity'
                    from held h where q.job_id = h.job_id)
                update jobs j set state = 'Stopping', stopping_to = 'Queued', reason = h.reason, version = h.version, last_event = h.event
                from held h where j.id = h.job_id
                returning j.id, h.version, h.state, h.reason, j.queue
                """, connection)
            {
                Parameters =
                {
                    new() { Value = victims.Select(v => v.Job.Value).ToArray() },
                    new() { Value = victims.Select(v => v.For.Value).ToArray() },
                    new() { Value = victims.Select(v => v.Words).ToArray() },
                    new() { Value = time.GetUtcNow() }, new() { Value = time.GetUtcNow() + grace },
                },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var told = ImmutableArray.CreateBuilder<ToldVictim>();
            while (await reader.ReadAsync(token))
            {
                told.Add(new ToldVictim(
                    new JobId(reader.GetGuid(0)), reader.GetInt64(1), Enum.Parse<JobState>(reader.GetString(2)), reader.GetString(3),
                    reader.GetString(4)));
            }

            return told.DrainToImmutable();
        }, cancellationToken);
}

/// <param name="Version">Of the job's row from now on.</param>
/// <param name="From">The state that it was in.</param>
internal sealed record ToldVictim(JobId Job, long Version, JobState From, string Reason, string Queue);
