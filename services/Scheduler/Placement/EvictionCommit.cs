using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Placement;

/// <summary>
/// Tells jobs that a plan preempts, shrinks or grows to write a checkpoint and to release their devices, all of the plan's in one
/// transaction. What is stored their grains carry out.
/// </summary>
/// <remarks>
/// A job whose rows somebody writes at this moment, or that ends already, is left out and not waited for: the next cycle decides anew.
/// What the database refuses is found by halves, as in <see cref="PlanCommit"/>.
/// </remarks>
internal sealed partial class EvictionCommit(ClusterDatabase database, TimeProvider time, ILogger<EvictionCommit> logger)
{
    /// <param name="grace">How long they have for a checkpoint.</param>
    /// <returns>Those that were told.</returns>
    public Task<ImmutableArray<ToldJob>> CommitAsync(PlacementPlan plan, TimeSpan grace, CancellationToken cancellationToken) =>
        Halves.WriteAsync<Eviction, ToldJob>(
            [
                .. plan.Preemptions.Select(each => new Eviction(each.Job, each.Words) { PreemptedFor = each.For }),
                .. plan.Resizes.Select(each => new Eviction(each.Job, each.Words) { ResizedFor = each.For, Next = each.Next }),
            ],
            some => database.RunAsync((connection, token) => CommitAsync(connection, some, grace, token), cancellationToken),
            (refusal, one) => LogRefused(refusal, new JobId(one.Job.Value)));

    private async Task<ImmutableArray<ToldJob>> CommitAsync(
        NpgsqlConnection connection, ImmutableArray<Eviction> evictions, TimeSpan grace, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            with evicted as (
                select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) v (job_id, preempted_for, resized_for, reason)),
            next as (
                select job_id, array_agg(node_id order by rank) as nodes, array_agg(device order by rank) as devices
                from unnest($7::uuid[], $8::integer[], $9::uuid[], $10::text[]) d (job_id, rank, node_id, device) group by job_id),
            held as (
                select v.*, j.state, j.attempt as number, j.version + 1 as version, j.last_event + 1 as event
                from evicted v join job_queue q using (job_id) join jobs j on j.id = v.job_id
                join attempts a on a.job_id = j.id and a.number = j.attempt
                where j.state in ('Starting', 'Running') and a.state <> 'Ending' and a.ended_at is null and not exists (
                    select 1 from device_grants g where g.job_id = j.id and g.attempt = j.attempt and g.gone_at is not null)
                order by v.job_id for update of q, j, a skip locked),
            ending as (
                update attempts a set state = 'Ending', ending_at = $5, reason = h.reason, release_by = $6,
                    preempted_for = h.preempted_for, resized_for = h.resized_for, next_nodes = n.nodes, next_devices = n.devices
                from held h left join next n using (job_id) where a.job_id = h.job_id and a.number = h.number),
            told as (
                insert into job_events (job_id, sequence, time, from_state, to_state, reason, attempt)
                select job_id, event, $5, state, 'Stopping', reason, number from held),
            due as (
                update job_queue q set state = 'Stopping', version = h.version, next_due_at = '-infinity'
                from held h where q.job_id = h.job_id)
            update jobs j set state = 'Stopping', stopping_to = 'Queued', reason = h.reason, version = h.version, last_event = h.event
            from held h where j.id = h.job_id
            returning j.id, h.version, h.state, h.reason, j.queue, h.preempted_for is not null
            """, connection);
        var next = evictions.SelectMany(each => each.Next.Select((device, rank) => (Job: each.Job.Value, Rank: rank, Device: device)))
            .ToList();
        var (now, parameters) = (time.GetUtcNow(), command.Parameters);
        parameters.Add(new() { Value = evictions.Select(each => each.Job.Value).ToArray() });
        parameters.Add(new() { Value = evictions.Select(each => each.PreemptedFor?.Value).ToArray() });
        parameters.Add(new() { Value = evictions.Select(each => each.ResizedFor?.Value).ToArray() });
        parameters.Add(new() { Value = evictions.Select(each => each.Words).ToArray() });
        parameters.Add(new() { Value = now });
        parameters.Add(new() { Value = now + grace });
        parameters.Add(new() { Value = next.Select(each => each.Job).ToArray() });
        parameters.Add(new() { Value = next.Select(each => each.Rank).ToArray() });
        parameters.Add(new() { Value = next.Select(each => each.Device.Node.Value).ToArray() });
        parameters.Add(new() { Value = next.Select(each => each.Device.Device).ToArray() });

        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var told = ImmutableArray.CreateBuilder<ToldJob>();
        while (await reader.ReadAsync(cancellationToken))
        {
            told.Add(new ToldJob(
                new JobId(reader.GetGuid(0)), reader.GetInt64(1), Enum.Parse<JobState>(reader.GetString(2)), reader.GetString(3),
                reader.GetString(4), reader.GetBoolean(5)));
        }

        return told.DrainToImmutable();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} could not be told to release its devices")]
    private partial void LogRefused(PostgresException refusal, JobId jobId);

    private sealed record Eviction(JobKey Job, string Words)
    {
        public JobKey? PreemptedFor { get; init; }

        public JobKey? ResizedFor { get; init; }

        /// <summary>The devices that it is to go on with, in rank order; none: whichever it gets, in its turn.</summary>
        public ImmutableArray<GrantedDevice> Next { get; init; } = [];
    }
}

/// <param name="Version">Of the job's row from now on.</param>
/// <param name="From">The state that it was in.</param>
/// <param name="IsPreempted">False: it goes on with more devices or fewer.</param>
internal sealed record ToldJob(JobId Job, long Version, JobState From, string Reason, string Queue, bool IsPreempted);
