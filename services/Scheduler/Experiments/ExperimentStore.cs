using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;

namespace Cluster.Scheduler.Experiments;

/// <summary>Experiments: stored once and never changed; what becomes of them is what becomes of their jobs, and of their search.</summary>
public sealed class ExperimentStore(ClusterDatabase database, TimeProvider time)
{
    /// <param name="known">Its jobs as the caller read them before, by their ids.</param>
    /// <returns>Null when there is no such experiment.</returns>
    public Task<StoredExperiment?> GetAsync(
        ExperimentId id, IReadOnlyDictionary<string, Job> known, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            if (await context.Experiments.SingleOrDefaultAsync(e => e.Id == id.Value, token) is not { } row)
                return null;
            var members = await context.Jobs.Where(j => j.ExperimentId == id.Value).OrderBy(j => j.CreatedAt).ToListAsync(token);
            var jobs = await JobQueries.DescribeAsync(
                context, members, row => JobQueries.KnownPlacement(row, known.GetValueOrDefault(row.Id.ToString("D"))), time.GetUtcNow(),
                token);
            var states = jobs.GroupBy(j => j.State).Select(same => new JobStateCount { State = same.Key, Jobs = same.Count() });
            var search = await context.Searches.SingleOrDefaultAsync(s => s.ExperimentId == id.Value, token);
            return new StoredExperiment(ToExperiment(row, states, search), jobs, row.Yaml);
        }, cancellationToken);

    /// <summary>The experiments that a prefix may mean: no more than <paramref name="limit"/>, so 2 tell whether it is ambiguous.</summary>
    public Task<IReadOnlyList<ExperimentId>> FindAsync(
        IdPrefix prefix, int limit, Visibility seen, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync<IReadOnlyList<ExperimentId>>(async (context, token) =>
        {
            var (low, high) = IdRange.Of(prefix);
            var found = await SeenBy(context.Experiments, seen).Where(e => e.Id >= low && e.Id <= high).OrderBy(e => e.Id).Take(limit)
                .Select(e => e.Id).ToListAsync(token);
            return [.. found.Select(id => new ExperimentId(id))];
        }, cancellationToken);

    /// <summary>Newest first.</summary>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<Experiment>> ListAsync(
        Visibility seen, int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => Page.FillAsync(pageSize, pageToken, (after, count) =>
            {
                var experiments = SeenBy(context.Experiments, seen);
                if (after.Length > 0)
                {
                    var (before, id) = PageToken.Read(after);
                    experiments = experiments.Where(
                        e => EF.Functions.LessThan(ValueTuple.Create(e.CreatedAt, e.Id), ValueTuple.Create(before, id)));
                }

                return experiments.OrderByDescending(e => e.CreatedAt).ThenByDescending(e => e.Id).Take(count).ToListAsync(token);
            }, rows => DescribeAsync(context, rows, token), last => PageToken.Write(last.CreatedAt, last.Id)), cancellationToken);

    private static IQueryable<ExperimentRow> SeenBy(IQueryable<ExperimentRow> experiments, Visibility seen)
    {
        if (seen.Hidden.Length > 0)
            experiments = experiments.Where(e => e.Owner == seen.Owner || !seen.Hidden.Contains(e.Workspace));
        return seen.Only is { } only ? experiments.Where(e => only.Contains(e.Workspace)) : experiments;
    }

    private static async Task<List<Experiment>> DescribeAsync(
        ClusterDbContext context, List<ExperimentRow> experiments, CancellationToken cancellationToken)
    {
        var ids = experiments.ConvertAll(e => (Guid?)e.Id);
        var counts = await context.Jobs.Where(j => ids.Contains(j.ExperimentId))
            .GroupBy(j => new { j.ExperimentId, j.State })
            .Select(same => new { same.Key.ExperimentId, same.Key.State, Jobs = same.Count() })
            .ToListAsync(cancellationToken);
        var states = counts.ToLookup(count => count.ExperimentId, count => new JobStateCount { State = count.State, Jobs = count.Jobs });
        var searches = await context.Searches.Where(s => ids.Contains(s.ExperimentId))
            .ToDictionaryAsync(s => s.ExperimentId, cancellationToken);
        return experiments.ConvertAll(row => ToExperiment(row, states[row.Id], searches.GetValueOrDefault(row.Id)));
    }

    /// <param name="states">How many of its jobs are in each state.</param>
    /// <param name="search">Null: its jobs are all there are.</param>
    private static Experiment ToExperiment(ExperimentRow row, IEnumerable<JobStateCount> states, SearchRow? search) => new()
    {
        Id = row.Id.ToString("D"),
        Name = row.Name,
        Owner = row.Owner,
        Workspace = row.Workspace,
        CreatedAt = row.CreatedAt.ToTimestamp(),
        States = { states.OrderBy(count => count.State) },
        Search = search is null ? null : SearchSummary.Of(row, search),
    };
}

/// <param name="Jobs">In the file's order, or that of their making.</param>
/// <param name="Yaml">The file as it was submitted.</param>
public sealed record StoredExperiment(Experiment Experiment, IReadOnlyList<Job> Jobs, string Yaml);
