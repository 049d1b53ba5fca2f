namespace Cluster.Placement;

/// <summary>What a decision is free to do.</summary>
/// <param name="LongestHold">How long devices may stand idle for a job that failed: in the last part, so long, of its pause.</param>
public sealed record PlacementPolicy(TimeSpan LongestHold)
{
    /// <summary>
    /// For so long after its loss a node is expected back: a job that needs it keeps the other devices that it could use. 0: not at all.
    /// </summary>
    public TimeSpan LostNodeHold { get; init; }

    /// <summary>After it, use beyond a quota that others waited for counts half. A day: who had the night waits by day.</summary>
    public TimeSpan HalfLife { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How much past use counts against present use; 0: not at all.</summary>
    public double PastUseWeight { get; init; } = 1;

    /// <summary>The time that a job gets to write a checkpoint before its devices are taken.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How much longer than the grace period a job waits for others to end that could have some stopped, where that loses more work than
    /// it saves the job in waiting. 0: not at all.
    /// </summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long after its devices were last made more or fewer a job may get more: each time costs it a restart.</summary>
    public TimeSpan BetweenResizes { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>When one is expected to end that should have ended.</summary>
    public TimeSpan Overdue { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The most running jobs that a cycle looks at for reservations and preemptions; what is left is not settled then.</summary>
    public int SearchWork { get; init; } = 10_000;

    /// <summary>The most sets of victims that are tried for one job beyond the first that fits.</summary>
    public int VictimSets { get; init; } = 2_000;

    /// <summary>The most starts that are promised in a cycle; the cost of each start grows with them.</summary>
    public int Reservations { get; init; } = 64;

    /// <summary>The most steps that each way of a forecast takes; who has not started by then is not settled.</summary>
    public int ForecastWork { get; init; } = 500_000;
}
