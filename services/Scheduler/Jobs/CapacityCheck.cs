using System.Collections.Frozen;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Placement;

namespace Cluster.Scheduler.Jobs;

/// <summary>Refuses what the cluster as registered, with every device free, could never run: at submit, and at validate.</summary>
internal sealed class CapacityCheck(NodeStore nodes)
{
    /// <exception cref="InfeasibleJobException">It names the setting that is too much, its value and the remedy.</exception>
    public Task EnsureFitsAsync(JobSpec spec, CancellationToken cancellationToken) => EnsureAllFitAsync([("", spec)], cancellationToken);

    /// <summary>For an experiment's variants; the name of a job by itself is empty.</summary>
    /// <inheritdoc cref="EnsureFitsAsync"/>
    public async Task EnsureAllFitAsync(IEnumerable<(string Variant, JobSpec Spec)> jobs, CancellationToken cancellationToken)
    {
        var registered = (await nodes.AllAsync(cancellationToken)).ConvertAll(row => NodeCapacity.Of(row, held: FrozenSet<string>.Empty));
        foreach (var (variant, spec) in jobs)
        {
            if (Feasibility.Explain(DeviceNeed.Of(spec), registered) is { } reason)
                throw new InfeasibleJobException(variant.Length == 0 ? reason : $"variant {variant}: {reason}");
        }
    }
}
