using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Nodes;

namespace Cluster.Scheduler.Capacity;

/// <summary>Refuses what the cluster as registered, with every device free, could never run: at submit, and at validate.</summary>
internal sealed class CapacityCheck(NodeStore nodes)
{
    /// <exception cref="InfeasibleJobException">It names the setting that is too much, its value and the remedy.</exception>
    public Task EnsureFitsAsync(JobSpec spec, MemoryEstimate? memory, CancellationToken cancellationToken) =>
        EnsureAllFitAsync([("", spec, memory)], cancellationToken);

    /// <summary>For an experiment's variants; the name of a job by itself is empty.</summary>
    /// <inheritdoc cref="EnsureFitsAsync"/>
    public async Task EnsureAllFitAsync(
        IEnumerable<(string Variant, JobSpec Spec, MemoryEstimate? Memory)> jobs, CancellationToken cancellationToken)
    {
        var registered = (await nodes.AllAsync(cancellationToken)).ConvertAll(PlacementNames.NodeOf);
        var members = jobs.ToList();
        var reasons = Feasibility.Explain(members.Select(job => PlacementNames.NeedOf(job.Spec, job.Memory)), registered);
        foreach (var ((variant, _, _), reason) in members.Zip(reasons))
        {
            if (reason is not null)
                throw new InfeasibleJobException(variant.Length == 0 ? reason : $"variant {variant}: {reason}");
        }
    }
}
