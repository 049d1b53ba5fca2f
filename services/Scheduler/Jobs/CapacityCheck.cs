using System.Collections.Frozen;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Placement;

namespace Cluster.Scheduler.Jobs;

/// <summary>Refuses what the cluster as registered, with every device free, could never run: at submit, and at validate.</summary>
internal sealed class CapacityCheck(NodeStore nodes)
{
    /// <exception cref="InfeasibleJobException">It names the setting that is too much, its value and the remedy.</exception>
    public async Task EnsureFitsAsync(JobSpec spec, CancellationToken cancellationToken)
    {
        var registered = (await nodes.AllAsync(cancellationToken)).Select(row => NodeCapacity.Of(row, held: FrozenSet<string>.Empty));
        if (Feasibility.Explain(DeviceNeed.Of(spec), [.. registered]) is { } reason)
            throw new InfeasibleJobException(reason);
    }
}
