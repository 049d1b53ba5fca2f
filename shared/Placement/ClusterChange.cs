using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement;

/// <summary>Something that has become of a job, of a node or of a queue.</summary>
/// <remarks>
/// Each says how it is now, whatever was known of it before: so it may come twice, and a change between two that are
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
    public sealed record JobGranted(JobKey Job, RankMemory Memory, ImmutableArray<GrantedDevice> Devices) : ClusterChange
    {
        /// <summary>Null: nothing more is known of it. It counts in the default queue, and is never preempted.</summary>
        public RunningFacts? Facts { get; init; }
    }

    /// <summary>The job neither waits nor holds a device: it has ended, was cancelled, is paused, is gone.</summary>
    public sealed record JobEnded(JobKey Job) : ClusterChange;

    /// <summary>The node is so: registered, lost or returned, with other devices, labels or data sets.</summary>
    public sealed record NodeChanged(RegisteredNode Node) : ClusterChange;

    /// <summary>The node is forgotten.</summary>
    public sealed record NodeRemoved(NodeKey Node) : ClusterChange;

    /// <summary>The queue is so: declared, or with other shares. Costs all that waits and runs, since queues seldom change.</summary>
    public sealed record QueueChanged(QueueSpec Queue) : ClusterChange;

    /// <summary>The queue is declared no more: its jobs go on in the default one.</summary>
    public sealed record QueueRemoved(QueueKey Queue) : ClusterChange;

    /// <summary>The queue has used so much in the past, and goes on so.</summary>
    public sealed record QueueUsed(QueueKey Queue, PastUse Use) : ClusterChange;
}

public readonly record struct GrantedDevice(NodeKey Node, string Device)
{
    internal DeviceClass Kind => Device.StartsWith("cuda:", StringComparison.Ordinal) ? DeviceClass.Cuda : DeviceClass.Cpu;
}
