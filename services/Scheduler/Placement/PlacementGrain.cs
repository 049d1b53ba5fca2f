using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Placement;

/// <inheritdoc cref="IPlacementGrain"/>
internal sealed partial class PlacementGrain(
    PlacementStore store, JobFeed feed, IOptions<PlacementOptions> options, ILogger<PlacementGrain> logger) : Grain, IPlacementGrain
{
    /// <inheritdoc/>
    public async Task<ImmutableArray<JobId>> RunCycleAsync()
    {
        var snapshot = await store.SnapshotAsync(CancellationToken.None);
        var ordered = QueueOrder.Sort(snapshot.Waiting);
        var decisions = GangPlacement.Decide(snapshot, ordered, options.Value.LongestHold);
        return await CommitAsync(decisions);
    }

    private async Task<ImmutableArray<JobId>> CommitAsync(IReadOnlyList<PlacementDecision> decisions)
    {
        var started = ImmutableArray.CreateBuilder<JobId>();
        foreach (var placed in decisions.OfType<PlacementDecision.Placed>())
        {
            try
            {
                if (await GrainFactory.GetGrain<IJobGrain>(placed.Job.Value).StartAsync(new StartAttempt(placed.Ranks)))
                    started.Add(placed.Job);
            }
            catch (StaleStateException stale)
            {
                // Its devices stay free, and the next cycle sees what has become of it.
                LogNotStarted(stale, placed.Job);
            }
        }

        foreach (var job in await store.WriteStandingsAsync([.. decisions.OfType<PlacementDecision.Waits>()], CancellationToken.None))
            feed.Publish(job);
        return started.DrainToImmutable();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} was placed but did not start; the next cycle decides anew")]
    private partial void LogNotStarted(Exception stale, JobId jobId);
}
