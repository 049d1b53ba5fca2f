using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Placement;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Placement;

/// <summary>
/// Makes a plan true: opens the next attempt of each job that starts, with its grants, event and state, all jobs in one transaction.
/// </summary>
/// <remarks>
/// Each job's rows are locked, must still be queued, and get the next version, so that its grain's older picture is refused. What the
/// database refuses, above all a device that is granted already, is found by halves: the others start all the same.
/// </remarks>
internal sealed partial class PlanCommit(
    ClusterDatabase database, IOptions<JobOptions> options, TimeProvider time, ILogger<PlanCommit> logger)
{
    /// <summary>A start and the secret of its attempt, of which only the hash is stored.</summary>
    private sealed record SecretStart(JobStart Start, string Secret)
    {
        /// <summary>Leaves the secret out.</summary>
        public override string ToString() => $"{Start}";
    }

    /// <returns>The attempts that were opened. Jobs that wait no more, or were refused, are left out.</returns>
    public Task<ImmutableArray<OpenedAttempt>> CommitAsync(ImmutableArray<JobStart> starts, CancellationToken cancellationToken) =>
        Halves.WriteAsync<SecretStart, OpenedAttempt>(
            [.. starts.Select(start => new SecretStart(start, AttemptSecret.Make()))],
            some => database.RunAsync((connection, token) => OpenAsync(connection, some, token), cancellationToken),
            (refusal, one) => LogRefused(refusal, new JobId(one.Start.Job.Value)));

    /// <summary>One statement, and so one transaction and one round trip.</summary>
    private async Task<ImmutableArray<OpenedAttempt>> OpenAsync(
        NpgsqlConnection connection, ImmutableArray<SecretStart> starts, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            with start as (
                select * from unnest($1::uuid[], $2::bytea[], $3::integer[], $4::text[]) s (job_id, secret_hash, world_size, places)),
            opened as (
                select s.*, j.attempt + 1 as number, j.version + 1 as version, j.last_event + 1 as event, q.cpu_bytes, q.gpu_bytes,
                    coalesce(j.not_before, queued.time, j.created_at) as since, c.id as checkpoint, coalesce(c.step, 0) as step,
                    'attempt ' || j.attempt + 1 || case when q.min_devices > 0
                        then ' with ' || s.world_size || ' of ' || q.min_devices || ' to ' || q.devices || ' devices' else '' end
                        || ' on ' || s.places || coalesce(', from the checkpoint at step ' || c.step, '') as reason
                from start s join job_queue q using (job_id) join jobs j on j.id = q.job_id
                left join job_events queued on queued.job_id = j.id and queued.sequence = j.last_event
                left join lateral (
                    select id, step from checkpoints where job_id = s.job_id and kind = 'Weights'
                    order by step desc, created_at desc limit 1) c on true
                where q.state = 'Queued' and q.forecast_until is null and not q.awaits_jobs and (q.not_before is null or q.not_before <= $5)
                order by q.job_id for update of q, j),
            attempt as (
                insert into attempts (job_id, number, secret_hash, state, world_size, resume_checkpoint_id, resume_step, created_at, reason,
                    launch_failed)
                select job_id, number, secret_hash, 'Launching', world_size, checkpoint, step, $5, '', false from opened),
            granted as (
                insert into device_grants (job_id, attempt, rank, node_id, node_name, node_epoch, device, granted_at, lost, exit_message,
                    cpu_bytes, gpu_bytes)
                select job_id, number, rank, node_id, node_name, node_epoch, device, $5, false, '', cpu_bytes, gpu_bytes
                from unnest($6::uuid[], $7::integer[], $8::uuid[], $9::text[], $10::bigint[], $11::text[])
                    g (job_id, rank, node_id, node_name, node_epoch, device) join opened using (job_id)),
            told as (
                insert into job_events (job_id, sequence, time, from_state, to_state, reason, attempt)
                select job_id, event, $5, 'Queued', 'Starting', reason, number from opened),
            queued as (
                update job_queue q set state = 'Starting', version = o.version, not_before = null, next_due_at = $12,
                    committed_at = null, expected_end = null, expected_end_late = null
                from opened o where q.job_id = o.job_id)
            update jobs j set state = 'Starting', version = o.version, last_event = o.event, attempt = o.number, reason = o.reason,
                reason_code = '', not_before = null
            from opened o where j.id = o.job_id
            returning j.id, o.number, o.reason, o.since
            """, connection);
        var (now, ranks) = (time.GetUtcNow(), starts.SelectMany(each => each.Start.Ranks.Select(
            (rank, number) => (Job: each.Start.Job.Value, Number: number, Rank: rank))).ToList());
        var parameters = command.Parameters;
        parameters.Add(new() { Value = starts.Select(each => each.Start.Job.Value).ToArray() });
        parameters.Add(new() { Value = starts.Select(each => AttemptSecret.Hash(each.Secret)).ToArray() });
        parameters.Add(new() { Value = starts.Select(each => each.Start.Ranks.Length).ToArray() });
        parameters.Add(new() { Value = starts.Select(each => PlacementOf(each.Start)).ToArray() });
        parameters.Add(new() { Value = now });
        parameters.Add(new() { Value = ranks.Select(each => each.Job).ToArray() });
        parameters.Add(new() { Value = ranks.Select(each => each.Number).ToArray() });
        parameters.Add(new() { Value = ranks.Select(each => each.Rank.Node.Value).ToArray() });
        parameters.Add(new() { Value = ranks.Select(each => each.Rank.NodeName).ToArray() });
        parameters.Add(new() { Value = ranks.Select(each => each.Rank.NodeEpoch).ToArray() });
        parameters.Add(new() { Value = ranks.Select(each => each.Rank.Device).ToArray() });
        parameters.Add(new() { Value = now + options.Value.RetryInterval });
        // Once a connection; planning it takes longer than running it.
        await command.PrepareAsync(cancellationToken);

        var secrets = starts.ToDictionary(each => each.Start.Job.Value, each => each.Secret);
        var opened = ImmutableArray.CreateBuilder<OpenedAttempt>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var job = reader.GetGuid(0);
            opened.Add(new OpenedAttempt(
                new JobId(job), new StartedAttempt(reader.GetInt32(1), secrets[job]), reader.GetString(2),
                now - reader.GetFieldValue<DateTimeOffset>(3)));
        }

        return opened.DrainToImmutable();
    }

    private static string PlacementOf(JobStart start) => string.Join(", ", start.Ranks.Select(rank => $"{rank.NodeName} ({rank.Device})"));

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} was placed but is refused its start; the next cycle decides anew")]
    private partial void LogRefused(Exception refusal, JobId jobId);
}

/// <param name="Waited">Since it could start, queued first or again.</param>
internal sealed record OpenedAttempt(JobId Job, StartedAttempt Attempt, string Reason, TimeSpan Waited);
