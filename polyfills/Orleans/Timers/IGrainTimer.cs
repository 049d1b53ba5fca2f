using System.Diagnostics.CodeAnalysis;

namespace Orleans.Runtime;

/// <summary>A timer of one activation; disposing it stops it and cancels the token of a callback that runs.</summary>
public interface IGrainTimer : IDisposable
{
    /// <summary>New times, from now on; called inside the timer's own callback, from that callback's end on.</summary>
    void Change(TimeSpan dueTime, TimeSpan period);
}

/// <summary>When a grain timer fires and how it shares the activation with requests.</summary>
public readonly struct GrainTimerCreationOptions()
{
    [SetsRequiredMembers]
    public GrainTimerCreationOptions(TimeSpan dueTime, TimeSpan period)
        : this()
    {
        DueTime = dueTime;
        Period = period;
    }

    /// <summary>Time to the first tick; <see cref="Timeout.InfiniteTimeSpan"/> waits for <see cref="IGrainTimer.Change"/>.</summary>
    public required TimeSpan DueTime { get; init; }

    /// <summary>Time from the end of one tick to the next; <see cref="Timeout.InfiniteTimeSpan"/> fires once.</summary>
    public required TimeSpan Period { get; init; }

    /// <summary>True lets a tick run between the turns of a request; false, the default, queues it like a request.</summary>
    public bool Interleave { get; init; }

    /// <summary>True makes each tick count as use, so that the activation is not collected as idle.</summary>
    public bool KeepAlive { get; init; }
}
