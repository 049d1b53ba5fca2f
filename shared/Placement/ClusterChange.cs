using System.Collections.Immutable;

namespace Cluster.Placement;

/// <summary>Something that has become of a job or of a node.</summary>
/// <remarks>
/// Each says how the job or the node is now, whatever was known of it before: so it may come twice, and a change between two that are
/// told may be left out.
/// </remarks>
public abstract record ClusterChange
{
    private ClusterChange()
    {
    }

    /// <summary>The job waits: it is new, goes back to the queue, or waits on other terms. It holds no device.</summary>
    public sealed record JobQueued(WaitingJob Job) : ClusterChange;

    /// <summary>The job holds these devices, and waits no more.</summary>
    /// <param name="Memory">What each of its ranks is expected to take.</param>
    public sealed record JobGranted(JobKey Job, RankMemory Memory, ImmutableArray<GrantedDevice> Devices) : ClusterChange;

    /// <summary>The job neither waits nor holds a device: it has ended, was cancelled, is paused, is gone.</summary>
    public sealed record JobEnded(JobKey Job) : ClusterChange;

    /// <summary>The node is so: registered, lost or returned, with other devices, labels or data sets.</summary>
    public sealed record NodeChanged(RegisteredNode Node) : ClusterChange;

    /// <summary>The node is forgotten.</summary>
    public sealed record NodeRemoved(NodeKey Node) : ClusterChange;
}

public readonly record struct GrantedDevice(NodeKey Node, string Device);
