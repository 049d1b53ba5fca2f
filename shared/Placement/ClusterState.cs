namespace Cluster.Placement;

/// <summary>Who waits and what is free, kept up to date by what changes.</summary>
/// <remarks>Not safe for use by several threads.</remarks>
public sealed class ClusterState
{
    private readonly NodeIndex _nodes = new();
    private readonly WaitingIndex _waiting = new();

    /// <summary>How many jobs wait.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Takes note of a change. Costs what has changed, however large the cluster and the queue.</summary>
    public void Apply(ClusterChange change)
    {
        switch (change)
        {
            case ClusterChange.JobQueued queued:
                _nodes.Release(queued.Job.Id);
                _waiting.Put(queued.Job);
                break;
            case ClusterChange.JobGranted granted:
                _waiting.Remove(granted.Job);
                _nodes.Release(granted.Job);
                _nodes.Grant(granted);
                break;
            case ClusterChange.JobEnded ended:
                _waiting.Remove(ended.Job);
                _nodes.Release(ended.Job);
                break;
            case ClusterChange.NodeChanged changed:
                _nodes.Put(changed.Node);
                break;
            case ClusterChange.NodeRemoved removed:
                _nodes.Remove(removed.Node);
                break;
            default:
                throw new ArgumentException($"{change.GetType().Name} is no change that placement knows", nameof(change));
        }
    }

    /// <summary>With whom a job waits: its queue, and its <see cref="DeviceNeed.Shape"/>. Null if it does not wait.</summary>
    public (QueueKey Queue, string Shape)? ShapeOf(JobKey job) => _waiting.ShapeOf(job);

    /// <summary>
    /// Decides who starts where, and why the others wait. Pure: the same state and time give the same plan, and the state stays as it is.
    /// </summary>
    /// <remarks>
    /// Looks at jobs until the first of each queue and shape that does not fit, and at nodes that have devices left: so it costs what
    /// starts, times what is free, and not what waits.
    /// </remarks>
    public PlacementPlan Decide(DateTimeOffset now, PlacementPolicy policy) => PlacementCycle.Run(_nodes, _waiting, now, policy);

    /// <summary>All that decisions depend on, in words: two states of the same words decide alike.</summary>
    internal string Describe() => $"{_nodes.Describe()}\n{_waiting.Describe()}";
}
