using Cluster.Placement.Queues;

namespace Cluster.Placement.Tests;

/// <summary>What is true of a cluster at a moment: what a store would hold, read in one go.</summary>
internal sealed class ClusterPicture
{
    public Dictionary<NodeKey, RegisteredNode> Nodes { get; } = [];

    public Dictionary<JobKey, WaitingJob> Waiting { get; } = [];

    public Dictionary<JobKey, ClusterChange.JobGranted> Granted { get; } = [];

    public Dictionary<QueueKey, QueueSpec> Queues { get; } = [];

    public Dictionary<QueueKey, PastUse> Uses { get; } = [];

    /// <summary>A state built at once.</summary>
    public ClusterState Read()
    {
        var state = new ClusterState();
        foreach (var node in Nodes.Values)
            state.Apply(new ClusterChange.NodeChanged(node));
        foreach (var granted in Granted.Values)
            state.Apply(granted);
        foreach (var job in Waiting.Values)
            state.Apply(new ClusterChange.JobQueued(job));
        foreach (var (queue, use) in Uses)
            state.Apply(new ClusterChange.QueueUsed(queue, use));
        foreach (var queue in Queues.Values)
            state.Apply(new ClusterChange.QueueChanged(queue));
        return state;
    }

    /// <summary>Takes a change in as a store would: a device that somebody holds is granted to nobody else.</summary>
    /// <returns>False where the store refuses it.</returns>
    public bool Write(ClusterChange change)
    {
        switch (change)
        {
            case ClusterChange.JobQueued queued:
                Granted.Remove(queued.Job.Id);
                Waiting[queued.Job.Id] = queued.Job;
                return true;
            case ClusterChange.JobGranted granted:
                if (Granted.Values.Any(other => other.Job != granted.Job && other.Devices.Intersect(granted.Devices).Any()))
                    return false;
                Waiting.Remove(granted.Job);
                Granted[granted.Job] = granted;
                return true;
            case ClusterChange.JobEnded ended:
                Waiting.Remove(ended.Job);
                Granted.Remove(ended.Job);
                return true;
            case ClusterChange.NodeChanged changed:
                Nodes[changed.Node.Id] = changed.Node;
                return true;
            case ClusterChange.NodeRemoved removed:
                Nodes.Remove(removed.Node);
                return true;
            case ClusterChange.QueueChanged changed:
                Queues[changed.Queue.Key] = changed.Queue;
                return true;
            case ClusterChange.QueueRemoved removed:
                Queues.Remove(removed.Queue);
                Uses.Remove(removed.Queue);
                return true;
            case ClusterChange.QueueUsed used:
                Uses[used.Queue] = used.Use;
                return true;
            default:
                throw new ArgumentException($"{change.GetType().Name} is no change", nameof(change));
        }
    }
}
