using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Jobs;

/// <summary>What the ends of an attempt's trainers mean. Pure: all it knows is what it is given.</summary>
internal static class AttemptVerdict
{
    /// <summary>Why an attempt that goes on must end, or null.</summary>
    /// <param name="record">With the attempt.</param>
    /// <param name="lastSign">When a rank that does not train yet was last heard of.</param>
    /// <param name="now">The time.</param>
    /// <param name="options">How long to wait for what.</param>
    public static string? ReasonToEnd(JobRecord record, Func<int, DateTimeOffset> lastSign, DateTimeOffset now, JobOptions options)
    {
        if (Culprit(record, options) is { } culprit)
            return Describe(culprit);
        var attempt = record.Attempt!;
        var done = record.Grants.Where(g => g.GoneAt is not null).ToList();
        if (done.Count > 0 && done.Count < record.Grants.Count && now - done.Min(g => g.GoneAt) >= options.FinishGrace)
            return $"{Name(record.Grants.First(g => g.GoneAt is null))} goes on though rank {done[0].Rank} was done "
                + $"{options.FinishGrace.TotalSeconds:0} s ago";
        if (attempt.State is not (AttemptState.Launching or AttemptState.Launched))
            return null;
        var silent = record.Grants.FirstOrDefault(g => g.StartedAt is null && now - lastSign(g.Rank) >= options.StartDeadline);
        return silent is null
            ? null
            : $"{Name(silent)} does not train yet, and has said nothing for {options.StartDeadline.TotalSeconds:0} s";
    }

    /// <summary>Whether every trainer is gone for certain, so that devices may be released.</summary>
    public static bool IsOver(JobRecord record) => record.Grants.All(g => g.GoneAt is not null);

    public static bool AllDone(JobRecord record) => record.Grants.All(IsDone);

    /// <summary>Whether a rank's end ends its job, since another attempt would find the same.</summary>
    public static bool EndsTheJob(DeviceGrantRow rank) =>
        rank is { ExitCode: TrainerExit.Misconfigured or TrainerExit.OutOfMemory, ExitSignal: 0 };

    /// <summary>Whether a rank ended since its node has the data no more. Peers fail with it, and may call the job wrong.</summary>
    public static bool IsWantOfData(DeviceGrantRow rank) => rank is { ExitCode: TrainerExit.DataGone, ExitSignal: 0 };

    /// <summary>
    /// Whether the whole attempt is evicted with a rank that its node's shutdown, or the loss of its data there, has just ended, however
    /// that rank ended.
    /// </summary>
    /// <remarks>
    /// Not so if the rank was done, if it says that the job cannot run, or if the attempt was ending already for a reason of its own: a
    /// rank that was cut down, a deadline. Peers of the evicted rank that stopped or failed with it are no such reason, though they may be
    /// reported first.
    /// </remarks>
    public static bool IsEviction(JobRecord record, DeviceGrantRow evicted, JobOptions options)
    {
        if (record.Job.StoppingTo is not null || record.Attempt!.LaunchFailed || IsDone(evicted) || EndsTheJob(evicted))
            return false;
        var others = record.Grants.Where(g => g != evicted && g.GoneAt is not null && !IsDone(g)).ToList();
        if (others.Exists(g => (EndsTheJob(g) && !IsWantOfData(evicted)) || WasCutDown(g, KillingBegins(record, options))))
            return false;
        return record.Attempt.State != AttemptState.Ending || others.Exists(g => g.GoneAt <= record.Attempt.EndingAt);
    }

    /// <summary>"node worker-1 is shutting down".</summary>
    public static string DescribeEviction(DeviceGrantRow rank) =>
        $"node {rank.NodeName} {(IsWantOfData(rank) ? $"has the job's data no more: {rank.ExitMessage}" : "is shutting down")}";

    /// <summary>"node worker-1 is drained by olga: new fans".</summary>
    public static string DescribeDrain(DeviceGrantRow rank, Drain drain) =>
        $"node {rank.NodeName} is drained by {drain.By}{(drain.Reason.Length > 0 ? $": {drain.Reason}" : "")}";

    /// <summary>The rank whose end brought the attempt down, or null while none failed.</summary>
    /// <remarks>
    /// When one trainer dies, its peers fail of it, and may be reported first. So a rank that said the job cannot run, or that a
    /// signal ended before our own patience ran out, goes before the first that merely failed.
    /// </remarks>
    public static DeviceGrantRow? Culprit(JobRecord record, JobOptions options) => Failures(record, options).FirstOrDefault();

    /// <summary>"rank 1 on node-b (cpu:0) was killed by signal 9", with the trainer's own word if it gave one.</summary>
    public static string Describe(DeviceGrantRow rank)
    {
        var end = rank switch
        {
            { Lost: true } => "was lost with its node",
            { ExitSignal: > 0 } => $"was ended by signal {rank.ExitSignal}{SignalName(rank.ExitSignal.Value)}",
            { ExitCode: TrainerExit.Stopped } => "stopped without being asked",
            { ExitCode: TrainerExit.OutOfMemory } => "ran out of memory",
            { ExitCode: TrainerExit.DataGone } => "lost its data",
            { ExitCode: { } code } => $"exited with code {code}",
            _ => "ended, nobody knows how",
        };
        return rank.ExitMessage.Length > 0 ? $"{Name(rank)} {end}: {rank.ExitMessage}" : $"{Name(rank)} {end}";
    }

    /// <summary>Ranks that failed, the likeliest cause first.</summary>
    private static IEnumerable<DeviceGrantRow> Failures(JobRecord record, JobOptions options) => record.Grants
        .Where(g => g.GoneAt is not null && !IsDone(g) && !EndedOnRequest(g, record.Attempt!))
        .OrderByDescending(IsWantOfData)
        .ThenByDescending(EndsTheJob)
        .ThenByDescending(g => WasCutDown(g, KillingBegins(record, options)))
        .ThenBy(g => g.GoneAt)
        .ThenBy(g => g.Rank);

    private static DateTimeOffset? KillingBegins(JobRecord record, JobOptions options) => record.Attempt!.EndingAt + options.FailureGrace;

    private static bool WasCutDown(DeviceGrantRow rank, DateTimeOffset? killingBegins) =>
        rank.Lost || (rank.ExitSignal > 0 && !(rank.GoneAt >= killingBegins));

    public static bool IsDone(DeviceGrantRow rank) => rank is { Lost: false, ExitCode: TrainerExit.Done, ExitSignal: 0 };

    private static bool EndedOnRequest(DeviceGrantRow rank, AttemptRow attempt) =>
        attempt.EndingAt is { } asked && rank.GoneAt >= asked && rank is { ExitCode: TrainerExit.Stopped, ExitSignal: 0 };

    /// <summary>"rank 1 on node-b (cpu:0)".</summary>
    public static string Name(DeviceGrantRow rank) => $"rank {rank.Rank} on {rank.NodeName} ({rank.Device})";

    private static string SignalName(int signal) => signal switch
    {
        6 => " (aborted)",
        7 => " (bus error)",
        9 => " (killed)",
        11 => " (segmentation fault)",
        15 => " (terminated)",
        _ => "",
    };
}
