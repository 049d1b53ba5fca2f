using System.ComponentModel.DataAnnotations;
using Cluster.Placement;

namespace Cluster.Scheduler.Placement;

/// <summary>How placement shares out devices.</summary>
public sealed class PlacementOptions
{
    public const string SectionName = "Placement";

    /// <summary>
    /// How long devices may stand idle for a job that failed: in the last part, so long, of its pause. The longest pause by default is half
    /// of it. Zero holds nothing.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan LongestHold { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// For so long after its loss a node is expected back: a gang that only it could complete keeps the other devices that it could use.
    /// Zero, since most lost nodes stay away for longer than anybody wants to look at idle devices; a farm whose machines restart often may
    /// give it the time that this takes.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan LostNodeHold { get; set; } = TimeSpan.Zero;

    /// <summary>After it, use beyond a queue's quota that others waited for counts half. A day: who had the night waits by day.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "365.00:00:00")]
    public TimeSpan HalfLife { get; set; } = TimeSpan.FromDays(1);

    /// <summary>
    /// The time that a job gets for a checkpoint when it is preempted: what a large one takes on a busy network. Devices that come free
    /// within it by themselves are waited for instead.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan PreemptionGrace { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How much longer than the grace period a job waits for others to end before it has some stopped, where that loses more work than it
    /// saves the job in waiting. Five minutes: in so long much ends on a busy cluster. Zero stops at once.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan PreemptionPatience { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// How long after its devices were last made more or fewer an elastic job may get more. Each time costs it a start from a checkpoint,
    /// of a minute where much is to be loaded: so at most a tenth of its time.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "7.00:00:00")]
    public TimeSpan BetweenResizes { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How often it is reckoned when waiting jobs start: it costs what waits, and is not known more exactly.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan ForecastInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Steps in each of the ways that are played through to reckon when jobs start: all ways together up to a second of one core where
    /// thousands wait for thousands of devices, while cycles go on. Whoever has not started by then has no expected start.
    /// </summary>
    [Range(1_000, 1_000_000)]
    public int ForecastWork { get; set; } = 100_000;

    internal PlacementPolicy Policy => new(LongestHold)
    {
        LostNodeHold = LostNodeHold,
        HalfLife = HalfLife,
        Grace = PreemptionGrace,
        Patience = PreemptionPatience,
        BetweenResizes = BetweenResizes,
        ForecastWork = ForecastWork,
    };
}
