using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Submissions;
using Cluster.Search;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Searches;

/// <summary>Searches with what has become of their trials; a decision is written with all that follows from it, or not at all.</summary>
internal sealed class SearchStore(ClusterDatabase database, SubmissionStore submissions, TimeProvider time)
{
    // Longer than a step takes, however many trials it makes; another scheduler that takes it up meanwhile finds another version.
    private static readonly TimeSpan ClaimTerm = TimeSpan.FromSeconds(30);

    // A pass looks at no more before it looks at the clock again.
    private const int ClaimedAtOnce = 100;

    /// <summary>Stores an experiment without jobs, due at once; does nothing if it is there already.</summary>
    public Task<bool> BeginAsync(ExperimentRow experiment, SearchRow search, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                """
                with made as (
                    insert into experiments (id, owner, request_id, name, workspace, yaml, created_at) values ($1, $2, $3, $4, $5, $6, $7)
                    on conflict do nothing
                    returning id)
                insert into searches (experiment_id, version, searcher, metric, smaller_is_better, phase, state, next_due_at, queue)
                select id, 1, $8, $9, $10, 'Running', $11, '-infinity', $12 from made
                """, connection)
            {
                Parameters =
                {
                    new() { Value = experiment.Id }, new() { Value = experiment.Owner }, new() { Value = experiment.RequestId },
                    new() { Value = experiment.Name }, new() { Value = experiment.Workspace }, new() { Value = experiment.Yaml },
                    new() { Value = experiment.CreatedAt }, new() { Value = search.Searcher }, new() { Value = search.Metric },
                    new() { Value = search.SmallerIsBetter }, new() { Value = search.State.Write() },
                    new() { Value = search.Queue },
                },
            };
            try
            {
                return await command.ExecuteNonQueryAsync(token) > 0;
            }
            catch (PostgresException refusal) when (refusal.ConstraintName == QueueStore.SearchInQueue)
            {
                throw UnknownQueueException.For(search.Queue!);
            }
        }, cancellationToken);

    /// <summary>Takes up searches of whose trials there is news, the longest due first.</summary>
    /// <returns>Each with the time to which it has been put off.</returns>
    public Task<IReadOnlyList<(ExperimentId Search, DateTimeOffset PutOff)>> ClaimAsync(CancellationToken cancellationToken) =>
        database.RunAsync<IReadOnlyList<(ExperimentId, DateTimeOffset)>>(async (connection, token) =>
        {
            var now = time.GetUtcNow();
            await using var command = new NpgsqlCommand(
                """
                with due as (
                    select experiment_id from searches where next_due_at <= $1 and phase = 'Running'
                    order by next_due_at limit $2 for update skip locked)
                update searches s set next_due_at = $3 from due where s.experiment_id = due.experiment_id
                returning s.experiment_id, s.next_due_at
                """, connection)
            {
                Parameters = { new() { Value = now }, new() { Value = ClaimedAtOnce }, new() { Value = now + ClaimTerm } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            var claimed = new List<(ExperimentId, DateTimeOffset)>();
            while (await reader.ReadAsync(token))
                claimed.Add((new ExperimentId(reader.GetGuid(0)), reader.GetFieldValue<DateTimeOffset>(1)));
            return claimed;
        }, cancellationToken);

    /// <returns>Null when there is no such search.</returns>
    public Task<StoredSearch?> LoadAsync(ExperimentId id, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            // Before the trials: whatever becomes of them later finds this version, or makes the search due again.
            if (await context.Searches.SingleOrDefaultAsync(s => s.ExperimentId == id.Value, token) is not { } row)
                return null;
            var experiment = await context.Experiments.SingleAsync(e => e.Id == id.Value, token);
            await context.Database.OpenConnectionAsync(token);
            var news = await ReadNewsAsync((NpgsqlConnection)context.Database.GetDbConnection(), row, token);
            return new StoredSearch(experiment, row, news);
        }, cancellationToken);

    /// <summary>Writes a decision with its trials.</summary>
    /// <returns>The jobs that were moved; null if the search has another version, and then nothing was written.</returns>
    public Task<IReadOnlyList<MovedTrial>?> CommitAsync(SearchDecision decision, CancellationToken cancellationToken) =>
        database.RunAsync<IReadOnlyList<MovedTrial>?>(async (connection, token) =>
        {
            await using var transaction = await connection.BeginTransactionAsync(token);
            if (!await WriteStateAsync(connection, decision, token))
                return null;
            if (decision.Created.Count > 0)
            {
                await submissions.StoreAsync(connection, [.. decision.Created.Select(each => new Submission([each.Job], null))], token);
                await SetLengthsAsync(connection, decision.Created, token);
            }

            List<MovedTrial> moved =
            [
                .. await MoveAsync(connection, Continue, decision.Continued, token),
                .. await MoveAsync(connection, Stop, decision.Stopped, token),
            ];
            await transaction.CommitAsync(token);
            return moved;
        }, cancellationToken);

    /// <summary>Nothing was to be decided: due again when there is news, unless that has come meanwhile.</summary>
    public Task<int> SettleAsync(ExperimentId id, DateTimeOffset putOff, CancellationToken cancellationToken) =>
        ExecuteAsync(
            "update searches set next_due_at = null where experiment_id = $1 and next_due_at = $2", cancellationToken, id.Value, putOff);

    /// <summary>From then on nothing is decided, until it goes on; of a cancelled one never again.</summary>
    /// <returns>False: it is over, or there is no such search.</returns>
    public async Task<bool> SetPhaseAsync(ExperimentId id, SearchPhase phase, CancellationToken cancellationToken) =>
        await ExecuteAsync(
            """
            update searches set phase = $2, version = version + 1, queue = case when $2 <> 'Cancelled' then queue end,
                next_due_at = case when $2 = 'Running' then '-infinity'::timestamptz end
            where experiment_id = $1 and phase in ('Running', 'Paused')
            """, cancellationToken, id.Value, phase.ToString()) > 0;

    private Task<int> ExecuteAsync(string sql, CancellationToken cancellationToken, params object[] values) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (var value in values)
                command.Parameters.Add(new() { Value = value });
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    /// <summary>The trials that have come to where the search decides, or are over, in that order.</summary>
    private static async Task<List<TrialNews>> ReadNewsAsync(
        NpgsqlConnection connection, SearchRow row, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            select j.id, j.state, coalesce(j.train_until, 0), m.value,
                coalesce((r.progress->>'step')::bigint, 0) = 0 and (j.reason_code = $4 or exists (
                    select from device_grants g where g.job_id = j.id and g.attempt = j.attempt and g.exit_code = $3))
            from jobs j join job_events e on e.job_id = j.id and e.sequence = j.last_event
            left join runs r on r.job_id = j.id
            left join lateral (
                select value from metrics where job_id = j.id and stored_at >= j.created_at - interval '1 hour'
                    and name = $2 and epoch = j.train_until
                order by attempt desc limit 1) m on true
            where j.experiment_id = $1
                and (j.state in ('Succeeded', 'Failed', 'Cancelled') or (j.state = 'Paused' and j.trained_to = j.train_until))
            order by e.time, j.created_at
            """, connection)
        {
            Parameters =
            {
                new() { Value = row.ExperimentId }, new() { Value = row.Metric }, new() { Value = TrainerExit.Misconfigured },
                new() { Value = ReasonCodes.NeverPlaced },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var news = new List<TrialNews>();
        while (await reader.ReadAsync(cancellationToken))
        {
            news.Add(new TrialNews(
                new JobId(reader.GetGuid(0)), Enum.Parse<JobState>(reader.GetString(1)), reader.GetInt32(2),
                reader.IsDBNull(3) ? double.NaN : reader.GetDouble(3), reader.GetBoolean(4)));
        }

        return news;
    }

    private static async Task<bool> WriteStateAsync(
        NpgsqlConnection connection, SearchDecision decision, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            update searches set state = $3, phase = $4, version = version + 1, queue = case when $4 = 'Running' then queue end,
                next_due_at = case when next_due_at = $5 then null else next_due_at end
            where experiment_id = $1 and version = $2 and phase = 'Running'
            """, connection)
        {
            Parameters =
            {
                new() { Value = decision.Of.Row.ExperimentId }, new() { Value = decision.Of.Row.Version },
                new() { Value = decision.State.Write() },
                new() { Value = (decision.State.IsClosed ? SearchPhase.Ended : SearchPhase.Running).ToString() },
                new NpgsqlParameter<DateTimeOffset?> { TypedValue = decision.Of.PutOff },
            },
        };
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    private static async Task SetLengthsAsync(
        NpgsqlConnection connection, IReadOnlyList<NewTrial> trials, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "update jobs j set train_until = t.length from unnest($1::uuid[], $2::integer[]) t (id, length) where j.id = t.id", connection)
        {
            Parameters =
            {
                new() { Value = trials.Select(each => each.Job.Id.Value).ToArray() },
                new() { Value = trials.Select(each => each.Length).ToArray() },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private const string Continue =
        """
        with told as (select * from unnest($1::uuid[], $2::integer[], $3::text[]) t (id, length, reason)),
        moved as (
            update jobs j set state = 'Queued', train_until = t.length, reason = t.reason, reason_code = '', version = j.version + 1,
                last_event = j.last_event + 1
            from told t where j.id = t.id and j.state = 'Paused'
            returning j.id, j.version, j.last_event, j.reason, j.attempt),
        events as (
            insert into job_events (job_id, sequence, time, from_state, to_state, reason, attempt)
            select id, last_event, $4, 'Paused', 'Queued', reason, attempt from moved),
        queued as (
            update job_queue q set state = 'Queued', version = m.version, not_before = null from moved m where q.job_id = m.id)
        select id, version, 'Queued', reason from moved
        """;

    private const string Stop =
        """
        with told as (select * from unnest($1::uuid[], $2::integer[], $3::text[]) t (id, length, reason)),
        moved as (
            update jobs j set state = 'Succeeded', reason = t.reason, reason_code = '', version = j.version + 1,
                last_event = j.last_event + 1, finished_at = $4
            from told t where j.id = t.id and j.state = 'Paused'
            returning j.id, j.version, j.last_event, j.reason, j.attempt),
        events as (
            insert into job_events (job_id, sequence, time, from_state, to_state, reason, attempt)
            select id, last_event, $4, 'Paused', 'Succeeded', reason, attempt from moved),
        queued as (delete from job_queue q using moved m where q.job_id = m.id)
        select id, version, 'Succeeded', reason from moved
        """;

    /// <summary>A trial that has been cancelled meanwhile stays so; that is news, of which the search hears next.</summary>
    private async Task<List<MovedTrial>> MoveAsync(
        NpgsqlConnection connection, string sql, IReadOnlyList<TrialMove> moves, CancellationToken cancellationToken)
    {
        var moved = new List<MovedTrial>();
        if (moves.Count == 0)
            return moved;
        // In one order, so that two who write the same cannot wait for each other.
        var ordered = moves.OrderBy(move => move.Job.Value).ToList();
        await using var command = new NpgsqlCommand(sql, connection)
        {
            Parameters =
            {
                new() { Value = ordered.ConvertAll(move => move.Job.Value).ToArray() },
                new() { Value = ordered.ConvertAll(move => move.Length).ToArray() },
                new() { Value = ordered.ConvertAll(move => move.Reason).ToArray() }, new() { Value = time.GetUtcNow() },
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            moved.Add(new MovedTrial(
                new JobId(reader.GetGuid(0)), reader.GetInt64(1), Enum.Parse<JobState>(reader.GetString(2)), reader.GetString(3)));
        }

        return moved;
    }
}

/// <param name="News">Of trials that have come to where the search decides, or are over; it may have heard of them before.</param>
internal sealed record StoredSearch(ExperimentRow Experiment, SearchRow Row, IReadOnlyList<TrialNews> News)
{
    /// <summary>To when it was put off by the claim that it is looked at for; null: it was not claimed.</summary>
    public DateTimeOffset? PutOff { get; init; }
}

/// <param name="Length">In epochs, that it was to train to.</param>
/// <param name="Metric">At that length; not a number if it was never measured.</param>
/// <param name="IsInvalid">It could not train with its settings at all.</param>
internal sealed record TrialNews(JobId Job, JobState State, int Length, double Metric, bool IsInvalid);

/// <param name="Of">On what it was decided.</param>
internal sealed record SearchDecision(
    StoredSearch Of, SearchState State, IReadOnlyList<NewTrial> Created, IReadOnlyList<TrialMove> Continued,
    IReadOnlyList<TrialMove> Stopped);

internal sealed record NewTrial(JobSubmission Job, int Length);

/// <param name="Length">In epochs, to which it goes on; 0: it does not.</param>
internal sealed record TrialMove(JobId Job, int Length, string Reason);

/// <param name="Version">That its row has now.</param>
internal sealed record MovedTrial(JobId Job, long Version, JobState State, string Reason);
