using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Searches;

/// <summary>Ends trials that the registered cluster could never run: each of them keeps another one from its place.</summary>
/// <remarks>
/// Only where that is due to their settings: a trial of their search has started that asked for something else. Where none has, or one that
/// asked for the same, it is the cluster that lacks nodes, and the search waits for them.
/// </remarks>
internal sealed class UnplaceableTrials(ClusterDatabase database, IGrainFactory grains, TimeProvider time)
{
    /// <summary>A node that is being replaced, or is added for them, is there by then.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    public async Task EndAsync(CancellationToken cancellationToken)
    {
        foreach (var (job, why) in await FindAsync(cancellationToken))
        {
            try
            {
                await grains.GetGrain<IJobGrain>(job).CancelAsync(new CancelJob("its search", why) { Code = ReasonCodes.NeverPlaced });
            }
            catch (StaleStateException)
            {
                // Something has become of it at this moment; the next pass looks again.
            }
        }
    }

    private Task<List<(Guid Job, string Why)>> FindAsync(CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(async (context, token) =>
        {
            if (!await AnyAsync(context, token))
                return [];
            var now = time.GetUtcNow();
            var before = now - Patience;
            var waiting = await (
                from job in context.Jobs
                join queued in context.JobEvents
                    on new { JobId = job.Id, Sequence = job.LastEvent } equals new { queued.JobId, queued.Sequence }
                where job.TrainUntil != null && job.State == JobState.Queued && queued.Time <= before
                select job).ToListAsync(token);
            var places = await QueuePlaces.OfAsync(context, waiting, now, token);
            var stuck = waiting.Where(job => places[job.Id].Reason?.Code == WaitCause.Infeasible.Code()).ToList();
            var searches = stuck.Select(job => job.ExperimentId).Distinct().ToList();
            var started = (await context.Jobs.Where(job => searches.Contains(job.ExperimentId) && job.Attempt > 0).ToListAsync(token))
                .ToLookup(job => job.ExperimentId, ShapeOf);
            return stuck.Where(job => started[job.ExperimentId].Any() && !started[job.ExperimentId].Contains(ShapeOf(job)))
                .Select(job => (job.Id, places[job.Id].Reason!.Words)).ToList();
        }, cancellationToken);

    private static string ShapeOf(JobRow job) => PlacementNames.NeedOf(job.Spec, job.Memory).Shape();

    /// <summary>Whether anything waits so at all: seldom, and there is one row for each kind.</summary>
    private static async Task<bool> AnyAsync(ClusterDbContext context, CancellationToken cancellationToken)
    {
        await context.Database.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(
            "select exists (select 1 from waiting_reasons where code = $1)", (NpgsqlConnection)context.Database.GetDbConnection())
        {
            Parameters = { new() { Value = WaitCause.Infeasible.Code() } },
        };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
