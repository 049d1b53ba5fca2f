using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Jobs;

/// <summary>Jobs as people see them, read straight from Postgres and never from a grain.</summary>
public sealed class JobQueries([FromKeyedServices(StorePool.Queries)] ClusterDatabase database, TimeProvider time)
{
    private const int NewestEvents = 1000;

    /// <returns>Null when there is no such job.</returns>
    public Task<Job?> GetAsync(JobId id, CancellationToken cancellationToken) => GetAsync(id, known: null, cancellationToken);

    /// <inheritdoc cref="GetAsync(JobId, CancellationToken)"/>
    /// <param name="known">The job as the caller read it before, if it did.</param>
    public Task<Job?> GetAsync(JobId id, Job? known, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
            await context.Jobs.SingleOrDefaultAsync(j => j.Id == id.Value, token) is { } job
                ? (await DescribeAsync(context, [job], row => KnownPlacement(row, known), time.GetUtcNow(), token))[0]
                : null,
            cancellationToken);

    /// <summary>The jobs that a prefix may mean: no more than <paramref name="limit"/>, so 2 tell whether it is ambiguous.</summary>
    public Task<IReadOnlyList<JobId>> FindAsync(IdPrefix prefix, int limit, CancellationToken cancellationToken) =>
        FindAsync(prefix, limit, Visibility.All, cancellationToken);

    /// <inheritdoc cref="FindAsync(IdPrefix, int, CancellationToken)"/>
    public Task<IReadOnlyList<JobId>> FindAsync(
        IdPrefix prefix, int limit, Visibility seen, CancellationToken cancellationToken) =>
        database.RunAsync<IReadOnlyList<JobId>>(async (connection, token) =>
        {
            var (low, high) = IdRange.Of(prefix);
            await using var command = new NpgsqlCommand(
                $"select id from jobs where id between $1 and $2 and {Visibility.Sql("jobs", first: 4)} order by id limit $3", connection);
            foreach (var value in (object[])[low, high, limit, .. seen.Parameters])
                command.Parameters.Add(new() { Value = value });
            await using var reader = await command.ExecuteReaderAsync(token);
            var found = new List<JobId>();
            while (await reader.ReadAsync(token))
                found.Add(new JobId(reader.GetGuid(0)));
            return found;
        }, cancellationToken);

    /// <summary>The job's transitions after <paramref name="afterSequence"/>, in order.</summary>
    public Task<IReadOnlyList<JobEvent>> EventsAsync(JobId id, long afterSequence, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<JobEvent>>(async (context, token) =>
        {
            var rows = await context.JobEvents.Where(e => e.JobId == id.Value && e.Sequence > afterSequence).OrderBy(e => e.Sequence)
                .ToListAsync(token);
            return [.. rows.Select(JobMapping.ToEvent)];
        }, cancellationToken);

    /// <summary>The job's newest transitions, as many as a message holds, in order.</summary>
    public Task<IReadOnlyList<JobEvent>> NewestEventsAsync(JobId id, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<JobEvent>>(async (context, token) =>
        {
            var rows = await context.JobEvents.Where(e => e.JobId == id.Value)
                .OrderByDescending(e => e.Sequence).Take(NewestEvents).ToListAsync(token);
            return [.. rows.Select(JobMapping.ToEvent).InMessages().First().Reverse()];
        }, cancellationToken);

    /// <summary>Newest first.</summary>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<Job>> ListAsync(JobFilter filter, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync((context, token) =>
        {
            var jobs = SeenBy(context.Jobs, filter.Seen);
            if (filter.States.Count > 0)
                jobs = jobs.Where(j => filter.States.Contains(j.State));
            if (filter.Workspace.Length > 0)
                jobs = jobs.Where(j => j.Workspace == filter.Workspace);
            if (filter.Experiment is { } experiment)
                jobs = jobs.Where(j => j.ExperimentId == experiment.Value);
            if (filter.Queue.Length > 0)
                jobs = jobs.Where(j => j.Queue == filter.Queue);
            return PageAsync(
                jobs, filter.PageSize, filter.PageToken,
                rows => DescribeAsync(context, rows, _ => null, time.GetUtcNow(), token), token);
        }, cancellationToken);

    /// <summary>Those of the jobs that are visible.</summary>
    internal static IQueryable<JobRow> SeenBy(IQueryable<JobRow> jobs, Visibility seen)
    {
        if (seen.Hidden.Length > 0)
            jobs = jobs.Where(j => j.Owner == seen.Owner || !seen.Hidden.Contains(j.Workspace));
        return seen.Only is { } only ? jobs.Where(j => only.Contains(j.Workspace)) : jobs;
    }

    /// <summary>The newest jobs of those given, as what they are described as.</summary>
    internal static Task<Page<T>> PageAsync<T>(
        IQueryable<JobRow> jobs, int pageSize, string pageToken, Func<List<JobRow>, Task<List<T>>> describeAsync,
        CancellationToken cancellationToken)
        where T : IMessage =>
        Page.FillAsync(pageSize, pageToken, (after, count) =>
        {
            var rest = jobs;
            if (after.Length > 0)
            {
                var (before, id) = PageToken.Read(after);
                rest = rest.Where(j => EF.Functions.LessThan(ValueTuple.Create(j.CreatedAt, j.Id), ValueTuple.Create(before, id)));
            }

            return rest.OrderByDescending(j => j.CreatedAt).ThenByDescending(j => j.Id).Take(count).ToListAsync(cancellationToken);
        }, describeAsync, last => PageToken.Write(last.CreatedAt, last.Id));

    /// <param name="known">The placement of a job, where it need not be read; null: it is read, a row for each rank.</param>
    internal static async Task<List<Job>> DescribeAsync(
        ClusterDbContext context, IReadOnlyList<JobRow> jobs, Func<JobRow, IReadOnlyList<DevicePlacement>?> known, DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        var ids = jobs.Select(j => j.Id).ToArray();
        var placements = jobs.ToDictionary(j => j.Id, known);
        var grants = await CurrentGrantsAsync(context, [.. ids.Where(id => placements[id] is null)], cancellationToken);
        var runs = await context.Runs.Where(r => ids.Contains(r.JobId)).ToDictionaryAsync(r => r.JobId, cancellationToken);
        var places = await QueuePlaces.OfAsync(context, jobs, now, cancellationToken);
        var preempted = await context.Attempts.Where(a => ids.Contains(a.JobId) && a.PreemptedFor != null).GroupBy(a => a.JobId)
            .Select(same => new
            {
                same.Key,
                Preemptions = new Preemptions(
                    same.Count(), same.Sum(a => a.LostDeviceSeconds ?? 0), same.OrderByDescending(a => a.Number).First()),
            })
            .ToDictionaryAsync(same => same.Key, same => same.Preemptions, cancellationToken);
        var elastic = jobs.Where(j => j.Spec.Resources?.MinDevices > 0).Select(j => j.Id).ToArray();
        var resized = elastic.Length == 0 ? [] : await context.Attempts.Where(a => elastic.Contains(a.JobId) && a.NextDevices != null)
            .GroupBy(a => a.JobId).Select(same => same.OrderByDescending(a => a.Number).First())
            .ToDictionaryAsync(a => a.JobId, cancellationToken);
        return [.. jobs.Select(j => JobMapping.ToJob(
            j, placements[j.Id] ?? grants[j.Id].Select(JobMapping.ToPlacement), runs.GetValueOrDefault(j.Id)?.Progress,
            places.GetValueOrDefault(j.Id), preempted.GetValueOrDefault(j.Id), resized.GetValueOrDefault(j.Id)))];
    }

    /// <summary>
    /// The placement of a job that was read before, which no attempt changes: at each progress of a thousand ranks nothing is read that
    /// grows with their number. Null: it is another attempt.
    /// </summary>
    internal static IReadOnlyList<DevicePlacement>? KnownPlacement(JobRow row, Job? known) =>
        row.Attempt == known?.Attempt ? known.Placement : null;

    internal static async Task<ILookup<Guid, DeviceGrantRow>> CurrentGrantsAsync(
        ClusterDbContext context, Guid[] jobs, CancellationToken cancellationToken)
    {
        if (jobs.Length == 0)
            return Enumerable.Empty<DeviceGrantRow>().ToLookup(g => g.JobId);
        var rows = await (
            from grant in context.DeviceGrants
            join job in context.Jobs on new { Id = grant.JobId, grant.Attempt } equals new { job.Id, job.Attempt }
            where jobs.Contains(job.Id)
            orderby grant.Rank
            select grant).ToListAsync(cancellationToken);
        return rows.ToLookup(g => g.JobId);
    }
}

/// <param name="States">Empty: all.</param>
/// <param name="Workspace">Empty: all.</param>
/// <param name="PageToken">Empty: the first page.</param>
/// <param name="Experiment">Null: all.</param>
public sealed record JobFilter(
    IReadOnlyCollection<JobState> States, string Workspace, int PageSize, string PageToken, ExperimentId? Experiment = null)
{
    /// <summary>Empty: all.</summary>
    public string Queue { get; init; } = "";

    public Visibility Seen { get; init; } = Visibility.All;
}
