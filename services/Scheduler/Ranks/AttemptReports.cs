using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement.Running;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Runs;
using Npgsql;

namespace Cluster.Scheduler.Ranks;

/// <summary>Takes in what ranks report: metrics, progress, environment, and that training has begun.</summary>
public sealed class AttemptReports(
    [FromKeyedServices(StorePool.Bulk)] ClusterDatabase database, RunPaces paces, IGrainFactory grains, JobFeed feed,
    TimeProvider time)
{
    /// <summary>Stores a report. A rank's reports come in order: one that is not beyond the last changes nothing.</summary>
    /// <exception cref="AttemptFencedException">The attempt is over.</exception>
    public async Task ReportAsync(AttemptCredential credential, ReportRequest report, CancellationToken cancellationToken)
    {
        await database.TransactAsync(async (connection, token) =>
        {
            await AttemptFence.HoldAsync(connection, credential, token);
            if (!await NoteSequenceAsync(connection, credential, report.Sequence, token))
                return false;
            if (report.Points.Count > 0)
                await MetricStore.CopyAsync(connection, credential, report.Points, time.GetUtcNow(), token);
            if (report.Progress is not null || report.Environment is not null)
                await UpdateRunAsync(connection, credential, report, token);
            return true;
        }, cancellationToken);
        if (report.Progress is { } progress && paces.Note(credential.Job, credential.Attempt, progress) is { } end)
            await NoteEndAsync(credential.Job, end, cancellationToken);
        feed.Publish(credential.Job, NewsOf(report));
        // Also for a repeated report: the first one may have been stored and never come this far.
        if (report.Started)
            await grains.GetGrain<IJobGrain>(credential.Job.Value).RankStartedAsync(credential.Attempt, credential.Rank);
        if (report.Stall is { } stall)
        {
            await grains.GetGrain<IJobGrain>(credential.Job.Value)
                .RankStallsAsync(credential.Attempt, credential.Rank, stall.Step, stall.Operation);
        }

        if (report.Paces is { } ranks)
        {
            await grains.GetGrain<IJobGrain>(credential.Job.Value).RanksLagAsync(
                credential.Attempt, [.. ranks.Slow.Select(each => new RankLag(each.Rank, each.StepSeconds, each.OthersSeconds))]);
        }
    }

    /// <summary>For placement. Apart from the report's transaction, which holds the attempt: the job's grain writes both.</summary>
    private Task<int> NoteEndAsync(JobId job, Estimate end, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                "update job_queue set expected_end = $2, expected_end_late = $3 where job_id = $1 and state in ('Starting', 'Running')",
                connection)
            {
                Parameters = { new() { Value = job.Value }, new() { Value = end.Likely }, new() { Value = end.Late } },
            };
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);

    private static JobChange NewsOf(ReportRequest report) =>
        (report.Points.Count > 0 ? JobChange.Metrics : JobChange.None)
        | (report.Progress is not null || report.Environment is not null ? JobChange.Progress : JobChange.None);

    private static async Task<bool> NoteSequenceAsync(
        NpgsqlConnection connection, AttemptCredential credential, long sequence, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into report_cursors as known values ($1, $2, $3, $4)
            on conflict (job_id, attempt, rank) do update set last = excluded.last where known.last < excluded.last
            """, connection)
        {
            Parameters =
            {
                new() { Value = credential.Job.Value }, new() { Value = credential.Attempt }, new() { Value = credential.Rank },
                new() { Value = sequence },
            },
        };
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    /// <summary>The run's row is apart from the job's, so that a report a second costs the job no version.</summary>
    private static async Task UpdateRunAsync(
        NpgsqlConnection connection, AttemptCredential credential, ReportRequest report, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into runs values ($1, $2::jsonb, $3::jsonb)
            on conflict (job_id) do update set
                progress = coalesce(runs.progress, '{}') || coalesce(excluded.progress, '{}'),
                environment = coalesce(excluded.environment, runs.environment)
            """, connection)
        {
            Parameters =
            {
                new() { Value = credential.Job.Value }, new() { Value = Json(report.Progress) }, new() { Value = Json(report.Environment) },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static object Json<T>(T? message) where T : class => message is null ? DBNull.Value : JsonColumn.Write(message);
}
