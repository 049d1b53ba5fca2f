using System.Collections.Immutable;

namespace Cluster.Placement.Running;

/// <summary>What is known of a job that holds devices, beyond which ones.</summary>
/// <param name="Owner">Whose limit its devices count in.</param>
/// <param name="StartedAt">Since when it holds them.</param>
public sealed record RunningFacts(QueueKey Queue, string Owner, int Priority, DateTimeOffset StartedAt)
{
    /// <summary>What it asked for; null: not known, and it gets no more devices.</summary>
    public DeviceNeed? Need { get; init; }

    /// <summary>The moment to which its newest committed checkpoint goes; null: there is none yet.</summary>
    public DateTimeOffset? CommittedAt { get; init; }

    /// <summary>How long it takes to be where it was once it has devices again.</summary>
    public TimeSpan Restarting { get; init; }

    /// <summary>It is not preempted before it has run so long.</summary>
    public TimeSpan MinRuntime { get; init; }

    /// <summary>False: it is never preempted, nor shrunk.</summary>
    public bool Preemptible { get; init; } = true;

    /// <summary>When it is expected to end, from its steps and their measured time; null: not known.</summary>
    public Estimate? End { get; init; }

    /// <summary>When its devices were last made more or fewer.</summary>
    public DateTimeOffset? ResizedAt { get; init; }

    /// <summary>What it has been told to release.</summary>
    public Release? Release { get; init; }

    /// <summary>From when on its work would be lost, were it stopped.</summary>
    internal DateTimeOffset SafeUntil => CommittedAt > StartedAt ? CommittedAt.Value : StartedAt;

    /// <summary>From when on device-time is counted as lost: its last safe moment less what a restart takes.</summary>
    internal DateTimeOffset LostSince => SafeUntil - Restarting;

    /// <summary>Equal texts only for equal facts.</summary>
    internal string Describe() =>
        $"{Queue} {Owner} {Priority} {StartedAt:O} {Need?.Shape()} {CommittedAt:O} {Restarting} {MinRuntime} {Preemptible} "
        + $"{End} {ResizedAt:O} "
        + (Release is null ? "" : $"releases {string.Join(' ', Release.Devices)} by {Release.By:O} for {Release.For}");
}

/// <summary>A moment that is not known for sure.</summary>
/// <param name="Likely">As probably before as after.</param>
/// <param name="Late">Before it with nine chances in ten; a limit bounds it.</param>
public sealed record Estimate(DateTimeOffset Likely, DateTimeOffset Late);

/// <summary>Devices that a job was told to give up: all of its own if it is preempted, some if it is shrunk.</summary>
/// <param name="By">When they are free at the latest: its time to write a checkpoint is over then.</param>
/// <param name="For">Who is to have them.</param>
public sealed record Release(ImmutableArray<GrantedDevice> Devices, DateTimeOffset By, JobKey For);

/// <summary>How long a job runs, before anything of it is measured: from others like it, or from its limit.</summary>
/// <param name="Likely">As probably less as more.</param>
/// <param name="Late">Less with nine chances in ten; a limit bounds it.</param>
public sealed record ExpectedRuntime(TimeSpan Likely, TimeSpan Late)
{
    internal ExpectedRuntime Times(double factor) => new(Likely * factor, Late * factor);
}
