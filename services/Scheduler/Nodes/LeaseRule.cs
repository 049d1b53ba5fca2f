namespace Cluster.Scheduler.Nodes;

/// <summary>Decides whether leases that have run out count. Pure: it has no clock and no store.</summary>
/// <remarks>
/// <para>
/// A lease says that a node was heard of. An agent renews it every <see cref="NodeOptions.HeartbeatInterval"/>, at whichever scheduler it
/// reaches, and tries again, at another scheduler if it knows one, when a third of the lease has gone by without an answer. A node whose
/// lease has run out is lost: its attempts are over, and its devices are not granted again before it has registered anew and ended what
/// it still ran. So a lease that runs out too early never makes two trainers of one attempt count; but it costs a job its work, and that
/// is what this rule is for: a lease may only be held against a node that could have renewed it.
/// </para>
/// <para>
/// While a scheduler or the store was away nobody was heard of there, and that is no node's fault. So each scheduler looks at the leases
/// often, and notes in the store, by the store's clock, that it was there. It lets every lease run a full term from now, and none out:
/// at its first look, since agents had nobody to talk to before; at a look that comes late, since whatever made it late (a stopped process,
/// a suspended machine, a stalled store, a clock that was set) kept agents from renewing too; at the first look after the store failed,
/// under a look or under a renewal; and for as long as another scheduler is away, to which agents may still be talking. One that has been
/// away for <see cref="NodeOptions.LongestSchedulerAbsence"/>, before the eyes of one that was here all that time, is gone; and one that
/// stops says so and extends the leases itself. Hence nothing runs out within one lease of any of these.
/// </para>
/// <para>
/// The margin: an absence that nobody notices is no longer than a heartbeat may take (<see cref="NodeOptions.LongestAbsence"/>), a third of
/// the lease: a heartbeat that falls into it is answered when it ends. A longer one is noticed, if not by the scheduler that was away then
/// by the others, and leases are extended, before an agent has tried for a second third; its last renewal was a heartbeat's interval
/// before, which is a third at most.
/// A clock that is set by less moves an end by less, either way. The price is time: a node that is lost while a scheduler is away is
/// called lost when that one is back, or gone, and a lease later.
/// </para>
/// </remarks>
internal static class LeaseRule
{
    public static LeaseVerdict Judge(LookFindings look, NodeOptions options)
    {
        if (look.SinceLastLook is not { } passed)
            return LeaseVerdict.Extend(LeaseExtension.SchedulerStarted, "this scheduler has just started");
        if (look.StoreFailed)
            return LeaseVerdict.Extend(LeaseExtension.StoreFailed, "the store failed a moment ago");
        if (passed.Duration() > options.LongestAbsence)
        {
            return LeaseVerdict.Extend(
                LeaseExtension.LookLate, $"this scheduler or its store was away: it looked {passed.TotalSeconds:0.0} s ago");
        }

        var away = look.Others.Where(other => IsAway(other.SeenAgo.Duration(), look.HereFor, options)).Select(other => other.Address)
            .ToList();
        return away.Count == 0
            ? LeaseVerdict.Expire
            : LeaseVerdict.Extend(
                LeaseExtension.SchedulerAway,
                $"{(away.Count == 1 ? "another scheduler is" : "other schedulers are")} away: {string.Join(", ", away)}");
    }

    /// <param name="unseen">
    /// Since when, or until when: one that was seen in the future was seen by a clock that has been set back since.
    /// </param>
    private static bool IsAway(TimeSpan unseen, TimeSpan hereFor, NodeOptions options) =>
        unseen > options.LongestAbsence && (unseen < hereFor ? unseen : hereFor) <= options.LongestSchedulerAbsence;
}

/// <summary>What a look at the leases finds, all of it by the store's clock.</summary>
/// <param name="SinceLastLook">Null if this is the scheduler's first.</param>
/// <param name="StoreFailed">A look or a renewal has failed since the last look that succeeded.</param>
/// <param name="HereFor">Since when this scheduler has looked without interruption.</param>
/// <param name="Others">The other schedulers.</param>
internal sealed record LookFindings(
    TimeSpan? SinceLastLook, bool StoreFailed, TimeSpan HereFor, IReadOnlyList<SchedulerSighting> Others);

/// <param name="Address">Its silo's.</param>
/// <param name="SeenAgo">Since it looked last.</param>
internal sealed record SchedulerSighting(string Address, TimeSpan SeenAgo);

/// <summary>Why leases are extended; on metrics by <see cref="LeaseVerdict.Code"/>.</summary>
internal enum LeaseExtension
{
    None = 0,
    SchedulerStarted = 1,
    StoreFailed = 2,
    LookLate = 3,
    SchedulerAway = 4,
}

/// <param name="Extension">Other than none: every lease gets a full term from now, and none runs out.</param>
/// <param name="Because">In words.</param>
internal sealed record LeaseVerdict(LeaseExtension Extension, string Because)
{
    /// <summary>It was this scheduler, or its store, that was away.</summary>
    public bool IsInterruption => Extension is not (LeaseExtension.None or LeaseExtension.SchedulerAway);

    /// <summary>Who did not renew is lost.</summary>
    public static LeaseVerdict Expire { get; } = new(LeaseExtension.None, "");

    public string Code => Extension switch
    {
        LeaseExtension.SchedulerStarted => "scheduler_started",
        LeaseExtension.StoreFailed => "store_failed",
        LeaseExtension.LookLate => "look_late",
        LeaseExtension.SchedulerAway => "scheduler_away",
        _ => "none",
    };

    public static LeaseVerdict Extend(LeaseExtension cause, string because) => new(cause, because);
}
