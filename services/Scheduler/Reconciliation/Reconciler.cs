using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>Brings the cluster closer to what Postgres says it should be: one pass at a time, in phases.</summary>
internal sealed partial class Reconciler(
    IGrainFactory grains, DueWork dueWork, ForecastWork forecasts, DependencyWork dependencies, NodeStore nodes,
    IOptions<NodeOptions> nodeOptions, TimeProvider time, ILogger<Reconciler> logger)
{
    /// <summary>Everything: long lost nodes, then what is due for jobs, then placement, then the jobs it started.</summary>
    /// <param name="touch">Touches one job, of whose row it gives the version if that is known; the caller decides whether to wait.</param>
    /// <returns>When the next is due, for somebody; null: never, as it is.</returns>
    public async Task<DateTimeOffset?> PassAsync(Func<JobId, long, Task> touch, CancellationToken cancellationToken)
    {
        foreach (var (node, name) in await nodes.ForgetAsync(nodeOptions.Value.ForgetAfter, cancellationToken))
            LogForgotten(node, name);
        var next = await DoDueWorkAsync(touch, cancellationToken);
        await PlaceAsync(touch);
        return next;
    }

    /// <summary>A placement cycle, the launch of what it started, and the stop of what it preempted.</summary>
    public async Task PlaceAsync(Func<JobId, long, Task> touch)
    {
        var placement = grains.GetGrain<IPlacementGrain>(0);
        var decided = await placement.RunCycleAsync();
        // Launches first.
        var touching = Task.WhenAll(decided.Select(job => touch(job.Job, job.Version)));
        await Task.WhenAll(touching, placement.TellAsync());
    }

    /// <summary>Lets a job do what is due. A failure is logged: it is due again when its claim has run out.</summary>
    /// <param name="version">Of its row; 0: not known.</param>
    public async Task TouchAsync(JobId job, long version)
    {
        try
        {
            await grains.GetGrain<IJobGrain>(job.Value).TouchAsync(version);
        }
        catch (Exception failure)
        {
            LogTouchFailed(failure, job);
        }
    }

    private async Task<DateTimeOffset?> DoDueWorkAsync(Func<JobId, long, Task> touch, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var claim = await dueWork.ClaimAsync(now, cancellationToken);
        foreach (var job in claim.Jobs.Where(job => job.Due > DateTimeOffset.MinValue))
            SchedulerTelemetry.DueLag.Record((now - job.Due).TotalSeconds);
        var awaiting = claim.Jobs.Where(job => job.ForecastUntil is not null).ToDictionary(job => job.Job, job => job.ForecastUntil!.Value);
        if (awaiting.Count > 0)
            await forecasts.ResumeAsync(awaiting, cancellationToken);
        var dependent = claim.Jobs.Where(job => job.AwaitsJobs).Select(job => job.Job).ToList();
        if (dependent.Count > 0)
            await dependencies.LookAsync(dependent, cancellationToken);
        await Task.WhenAll(claim.Jobs.Where(job => job.State.HoldsDevices()).Select(job => touch(job.Job, job.Version)));
        return claim.Next;
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Node {NodeId} ({Name}), which is lost, is forgotten: it has been lost for long (Nodes:ForgetAfter), "
            + "or another node has taken its name")]
    private partial void LogForgotten(NodeId nodeId, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} could not be advanced; it is tried again soon")]
    private partial void LogTouchFailed(Exception failure, JobId jobId);
}
