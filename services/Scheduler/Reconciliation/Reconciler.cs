using Cluster.Contracts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>Brings the cluster closer to what Postgres says it should be: one pass at a time, in phases.</summary>
internal sealed partial class Reconciler(
    IGrainFactory grains, NodeStore nodes, PlacementStore placement, IOptions<NodeOptions> nodeOptions, ILogger<Reconciler> logger)
{
    /// <summary>Everything: long lost nodes, then every job whose attempt goes on, then placement, then the jobs it started.</summary>
    /// <param name="touch">Touches one job; the caller decides whether to wait for it.</param>
    public async Task PassAsync(Func<JobId, Task> touch, CancellationToken cancellationToken)
    {
        foreach (var (node, name) in await nodes.ForgetAsync(nodeOptions.Value.ForgetAfter, cancellationToken))
            LogForgotten(node, name);
        await Task.WhenAll((await placement.ActiveJobsAsync(cancellationToken)).Select(touch));
        await PlaceAsync(touch);
    }

    /// <summary>A placement cycle, and the launch of what it started.</summary>
    public async Task PlaceAsync(Func<JobId, Task> touch)
    {
        var started = await grains.GetGrain<IPlacementGrain>(0).RunCycleAsync();
        await Task.WhenAll(started.Select(touch));
    }

    /// <summary>Lets a job do what is due. A failure is logged: the next pass comes by again.</summary>
    public async Task TouchAsync(JobId job)
    {
        try
        {
            await grains.GetGrain<IJobGrain>(job.Value).TouchAsync();
        }
        catch (Exception failure)
        {
            LogTouchFailed(failure, job);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Node {NodeId} ({Name}), which is lost, is forgotten: it has been lost for long (Nodes:ForgetAfter), "
            + "or another node has taken its name")]
    private partial void LogForgotten(NodeId nodeId, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} could not be advanced; the next pass tries again")]
    private partial void LogTouchFailed(Exception failure, JobId jobId);
}
