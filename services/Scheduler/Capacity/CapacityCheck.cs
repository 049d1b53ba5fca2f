using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Nodes;

namespace Cluster.Scheduler.Capacity;

/// <summary>Refuses what the cluster as registered, with every device free, could never run: at submit, and at validate.</summary>
/// <remarks>
/// What would do on a picture some seconds old is let pass, since placement looks again; before anything is refused the nodes are read
/// anew. So a submit does not read all nodes.
/// </remarks>
internal sealed class CapacityCheck(NodeStore nodes, TimeProvider time)
{
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(5);

    private volatile Picture? _last;

    /// <exception cref="InfeasibleJobException">It names the setting that is too much, its value and the remedy.</exception>
    public Task EnsureFitsAsync(JobSpec spec, MemoryEstimate? memory, CancellationToken cancellationToken) =>
        EnsureAllFitAsync([("", spec, memory)], cancellationToken);

    /// <summary>For an experiment's variants; the name of a job by itself is empty.</summary>
    /// <inheritdoc cref="EnsureFitsAsync"/>
    public async Task EnsureAllFitAsync(
        IEnumerable<(string Variant, JobSpec Spec, MemoryEstimate? Memory)> jobs, CancellationToken cancellationToken)
    {
        var members = jobs.ToList();
        var needs = members.ConvertAll(job => PlacementNames.NeedOf(job.Spec, job.Memory));
        if (_last is { } last && time.GetElapsedTime(last.TakenAt) < Fresh
            && Feasibility.Explain(needs, last.Nodes).All(reason => reason is null))
            return;
        var reasons = Feasibility.Explain(needs, await ReadAsync(cancellationToken));
        foreach (var ((variant, _, _), reason) in members.Zip(reasons))
        {
            if (reason is not null)
                throw new InfeasibleJobException(variant.Length == 0 ? reason : $"variant {variant}: {reason}");
        }
    }

    private async Task<List<RegisteredNode>> ReadAsync(CancellationToken cancellationToken)
    {
        var takenAt = time.GetTimestamp();
        var registered = (await nodes.AllAsync(cancellationToken)).ConvertAll(PlacementNames.NodeOf);
        _last = new Picture(registered, takenAt);
        return registered;
    }

    private sealed record Picture(List<RegisteredNode> Nodes, long TakenAt);
}
