using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Runs;
using Google.Protobuf;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Submissions;

/// <summary>
/// The one way in which jobs come into the store: any number of them, each with its first event and its row in the queue.
/// </summary>
internal sealed class SubmissionStore(ClusterDatabase database, IOptions<JobOptions> options)
{
    private const string Insert =
        """
        with new_experiments as (
            insert into experiments (id, owner, request_id, name, workspace, yaml, created_at)
            select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
            on conflict do nothing
            returning id),
        given as (
            select * from unnest($8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::integer[], $14::bytea[],
                $15::boolean[], $16::text[], $17::text[], $18::uuid[], $19::text[], $20::text[], $21::timestamptz[], $22::text[],
                $23::uuid[], $24::integer[], $25::boolean[], $26::integer[], $27::text[], $28::integer[], $29::text[], $30::text[],
                $31::bigint[], $32::bigint[], $33::timestamptz[], $34::timestamptz[], $35::text[], $36::bytea[], $37::interval[],
                $38::boolean[], $39::text[], $40::integer[], $41::interval[])
            g (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate, experiment_id, variant,
                memory, created_at, reason, initial_checkpoint, keep_latest, keep_best, devices, device_class, max_devices_per_node,
                node_labels, data_set, cpu_bytes, gpu_bytes, forecast_until, next_due_at, queue, likeness, min_runtime, awaits_jobs,
                settings, min_devices, max_runtime)),
        new_jobs as (
            insert into jobs (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate,
                experiment_id, variant, memory, created_at, reason, initial_checkpoint, keep_latest, keep_best,
                queue, state, version, last_event, attempt, restarts, launch_failures, avoid_nodes)
            select id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate,
                experiment_id, variant, memory::jsonb, created_at, reason, initial_checkpoint, keep_latest, keep_best,
                queue, 'Queued', 1, 1, 0, 0, 0, '{}'
            from given where experiment_id is null or experiment_id in (select id from new_experiments)
                or experiment_id in (select experiment_id from searches)
            on conflict do nothing
            returning id),
        first_events as (
            insert into job_events (job_id, sequence, time, from_state, to_state, reason, attempt)
            select id, 1, created_at, 'Unspecified', 'Queued', reason, 0 from given join new_jobs using (id)),
        searched as (
            insert into run_settings (job_id, settings) select id, settings::jsonb from given join new_jobs using (id)),
        queued as (
            insert into job_queue (job_id, owner, state, version, queue, priority, age, avoid_nodes, devices, device_class,
                max_devices_per_node, node_labels, data_set, cpu_bytes, gpu_bytes, forecast_until, next_due_at, likeness, min_runtime,
                awaits_jobs, min_devices, max_runtime)
            select id, owner, 'Queued', 1, queue, priority, created_at, '{}', devices, device_class,
                max_devices_per_node, node_labels::jsonb, data_set, cpu_bytes, gpu_bytes, forecast_until, next_due_at, likeness,
                min_runtime, awaits_jobs, min_devices, max_runtime
            from given join new_jobs using (id))
        select id from new_jobs
        """;

    /// <summary>Stores all submissions in one transaction, each of them unless it is there already.</summary>
    /// <returns>The jobs that are new.</returns>
    /// <exception cref="InitialCheckpointException">A checkpoint that one of them begins with is gone.</exception>
    /// <exception cref="UnknownQueueException">There is no such queue.</exception>
    public Task<HashSet<Guid>> StoreAsync(IReadOnlyCollection<Submission> submissions, CancellationToken cancellationToken)
    {
        var more = Beside.Of(submissions);
        // A statement is a transaction by itself, and one round trip.
        return more.IsEmpty
            ? database.RunAsync((connection, token) => InsertAsync(connection, submissions, token), cancellationToken)
            : database.TransactAsync((connection, token) => StoreAsync(connection, submissions, more, token), cancellationToken);
    }

    /// <inheritdoc cref="StoreAsync(IReadOnlyCollection{Submission}, CancellationToken)"/>
    /// <param name="connection">With the transaction in which they are stored.</param>
    public Task<HashSet<Guid>> StoreAsync(
        NpgsqlConnection connection, IReadOnlyCollection<Submission> submissions, CancellationToken cancellationToken) =>
        StoreAsync(connection, submissions, Beside.Of(submissions), cancellationToken);

    private async Task<HashSet<Guid>> StoreAsync(
        NpgsqlConnection connection, IReadOnlyCollection<Submission> submissions, Beside more, CancellationToken cancellationToken)
    {
        foreach (var checkpoint in more.Checkpoints)
            await CheckpointSql.HoldAsync(connection, checkpoint, cancellationToken);
        if (more.Dependencies.Count > 0)
            await DependencyStore.HoldAsync(connection, more.Dependencies.Select(each => Guid.Parse(each.On.Job)), cancellationToken);
        var stored = await InsertAsync(connection, submissions, cancellationToken);
        if (more.Dependencies.Count > 0)
            await DependencyStore.AddAsync(connection, [.. more.Dependencies.Where(each => stored.Contains(each.Job))], cancellationToken);
        if (more.Turns.Count > 0)
            await DependencyStore.AddTurnsAsync(connection, [.. more.Turns.Where(each => stored.Contains(each.Job))], cancellationToken);
        return stored;
    }

    /// <summary>Whether the job was submitted before.</summary>
    public Task<bool> HasJobAsync(JobId id, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select 1 from jobs where id = $1", connection)
            {
                Parameters = { new() { Value = id.Value } },
            };
            return await command.ExecuteScalarAsync(token) is not null;
        }, cancellationToken);

    private async Task<HashSet<Guid>> InsertAsync(
        NpgsqlConnection connection, IReadOnlyCollection<Submission> submissions, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Insert, connection);
        AddExperiments(command.Parameters, submissions);
        // In one order, so that two schedulers that are sent the same cannot wait for each other.
        AddJobs(command.Parameters, [.. submissions.SelectMany(submission => submission.Jobs).OrderBy(job => job.Id.Value)]);
        // Once a connection; planning it takes longer than running it.
        await command.PrepareAsync(cancellationToken);
        try
        {
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            var stored = new HashSet<Guid>();
            while (await reader.ReadAsync(cancellationToken))
                stored.Add(reader.GetGuid(0));
            return stored;
        }
        catch (PostgresException refusal) when (refusal.ConstraintName == QueueStore.JobInQueue)
        {
            throw UnknownQueueException.For(string.Join("' or '", submissions.SelectMany(s => s.Jobs).Select(j => j.Queue).Distinct()));
        }
    }

    private static void AddExperiments(NpgsqlParameterCollection parameters, IEnumerable<Submission> submissions)
    {
        var experiments = submissions.Select(submission => submission.Experiment).OfType<ExperimentRow>().ToList();
        Add(parameters, experiments, e => e.Id);
        Add(parameters, experiments, e => e.Owner);
        Add(parameters, experiments, e => e.RequestId);
        Add(parameters, experiments, e => e.Name);
        Add(parameters, experiments, e => e.Workspace);
        Add(parameters, experiments, e => e.Yaml);
        Add(parameters, experiments, e => e.CreatedAt);
    }

    private void AddJobs(NpgsqlParameterCollection parameters, List<JobSubmission> jobs)
    {
        Add(parameters, jobs, j => j.Id.Value);
        Add(parameters, jobs, j => j.Owner);
        Add(parameters, jobs, j => j.RequestId);
        Add(parameters, jobs, j => j.Spec.Name);
        Add(parameters, jobs, j => j.Spec.Workspace);
        Add(parameters, jobs, j => j.Spec.Priority);
        Add(parameters, jobs, j => j.Spec.ToByteArray());
        Add(parameters, jobs, j => j.WaitForCapacity);
        Add(parameters, jobs, j => j.TraceParent);
        Add(parameters, jobs, j => j.TraceState);
        Add(parameters, jobs, j => j.Experiment?.Value);
        Add(parameters, jobs, j => j.Variant);
        Add(parameters, jobs, j => j.Memory is null ? null : JsonColumn.Write(j.Memory));
        Add(parameters, jobs, j => j.CreatedAt);
        Add(parameters, jobs, j => j.Reason);
        Add(parameters, jobs, InitialCheckpointOf);
        Add(parameters, jobs, j => Math.Max(1, j.Spec.Checkpoints?.KeepLatest ?? 1));
        Add(parameters, jobs, j => j.Spec.Checkpoints?.KeepBest ?? false);
        var needs = jobs.ConvertAll(j => PlacementNames.NeedOf(j.Spec, j.Memory));
        Add(parameters, needs, n => n.Devices);
        Add(parameters, needs, n => n.Only?.ToString());
        Add(parameters, needs, n => n.MaxPerNode);
        Add(parameters, needs, n => JsonColumn.Write(n.Labels));
        Add(parameters, needs, n => n.DataSet);
        Add(parameters, needs, n => n.Memory.Cpu);
        Add(parameters, needs, n => n.Memory.Gpu);
        Add(parameters, jobs, j => j.ForecastUntil);
        Add(parameters, jobs, FirstDue);
        Add(parameters, jobs, j => j.Queue);
        Add(parameters, jobs, j => Runtimes.Likeness(j.Spec));
        Add(parameters, jobs, j => j.Spec.MinRuntime?.ToTimeSpan() ?? TimeSpan.Zero);
        Add(parameters, jobs, j => j.AwaitsJobs);
        Add(parameters, jobs, j => RunSettings.Write(j.Spec));
        Add(parameters, needs, n => n.MinDevices);
        Add(parameters, jobs, j => j.Spec.MaxRuntime?.ToTimeSpan() ?? TimeSpan.Zero);
    }

    /// <summary>
    /// What it waits for is looked at once it is stored. Who stores it asks for its forecast, and has the first claim on that.
    /// </summary>
    private DateTimeOffset? FirstDue(JobSubmission job) =>
        job.Spec.After.Count > 0 ? job.CreatedAt : job.ForecastUntil is null ? null : job.CreatedAt + options.Value.ClaimTerm;

    private static void Add<TRow, T>(NpgsqlParameterCollection parameters, IEnumerable<TRow> rows, Func<TRow, T> column) =>
        parameters.Add(new NpgsqlParameter<T[]> { TypedValue = [.. rows.Select(column)] });

    /// <summary>In one order, so that two who hold the same cannot wait for each other.</summary>
    private static Guid? InitialCheckpointOf(JobSubmission job) =>
        Guid.TryParse(job.Spec.InitFrom?.Checkpoint, out var checkpoint) ? checkpoint : null;

    /// <summary>What is held or stored with jobs beside their own rows.</summary>
    /// <param name="Checkpoints">In one order, so that two who hold the same cannot wait for each other.</param>
    private sealed record Beside(
        IReadOnlyList<Guid> Checkpoints, IReadOnlyList<(Guid Job, Dependency On)> Dependencies,
        IReadOnlyList<(Guid Job, Guid Array, int Place, int AtOnce)> Turns)
    {
        public bool IsEmpty => Checkpoints.Count == 0 && Dependencies.Count == 0 && Turns.Count == 0;

        public static Beside Of(IReadOnlyCollection<Submission> submissions)
        {
            var jobs = submissions.SelectMany(submission => submission.Jobs).ToList();
            return new Beside(
                [.. jobs.Select(InitialCheckpointOf).OfType<Guid>().Distinct().Order()],
                [.. jobs.SelectMany(job => job.Spec.After.Select(dependency => (job.Id.Value, dependency)))],
                [.. jobs.Where(job => job.Turn is not null)
                    .Select(job => (job.Id.Value, job.Experiment!.Value.Value, job.Turn!.Place, job.Turn.AtOnce))]);
        }
    }
}
