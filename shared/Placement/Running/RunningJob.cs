using System.Collections.Immutable;
using Cluster.Placement.Queues;

namespace Cluster.Placement.Running;

/// <summary>A job with the devices that it holds.</summary>
internal sealed class RunningJob(ClusterChange.JobGranted granted, QueueNode queue)
{
    public ClusterChange.JobGranted Granted => granted;

    public JobKey Id => granted.Job;

    public RunningFacts? Facts => granted.Facts;

    public QueueNode Queue => queue;

    public string Owner => granted.Facts?.Owner ?? "";

    public RankMemory Memory => granted.Memory;

    public ImmutableArray<GrantedDevice> Devices => granted.Devices;

    public bool HoldsTheSame(ClusterChange.JobGranted other) =>
        other.Memory == Memory && other.Devices.AsSpan().SequenceEqual(Devices.AsSpan());

    /// <summary>Of all its devices: never a mixture.</summary>
    public DeviceClass Kind { get; } = granted.Devices.Length > 0 ? granted.Devices[0].Kind : DeviceClass.Cpu;

    /// <summary>What it has been told to release and still holds.</summary>
    public ImmutableArray<GrantedDevice> Leaving => granted.Facts?.Release?.Devices ?? [];

    /// <summary>When devices of it are expected to be free, and which; null where that is not known.</summary>
    public DateTimeOffset? FreeAt => Facts?.Release?.By ?? Facts?.End?.Likely;

    /// <summary>The devices that are free then.</summary>
    public ImmutableArray<GrantedDevice> FreeThen => Facts?.Release is { } release ? release.Devices : Devices;

    /// <summary>Work that is lost if it is stopped now, in device-seconds: since its last committed checkpoint, and to restart.</summary>
    public double Loss(DateTimeOffset now) => Math.Max(0, (now - Facts!.LostSince).TotalSeconds) * Devices.Length;

    /// <summary>Whether it may be stopped now at all, whoever asks.</summary>
    public bool MayBeStopped(DateTimeOffset now) =>
        Facts is { Preemptible: true, Release: null } facts && now - facts.StartedAt >= facts.MinRuntime;
}
