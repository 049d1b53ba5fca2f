using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Placement;

/// <summary>Gives waiting jobs their devices: all that a job asks for, or none.</summary>
/// <remarks>
/// How long a job runs is not known, so any device that a later job took could delay an earlier one that waits. Hence the rule of
/// backfill: a job may pass those before it, but only onto devices that none of them could use. A job that waits out its pause after a
/// failure keeps its place: what it would start on is held for it against those behind it, and goes to those before it. A node that was
/// lost a moment ago is expected back; what fits only with nodes that have been lost for long keeps nothing from anybody.
/// </remarks>
internal static class GangPlacement
{
    // Of lost nodes, in a reason.
    private const int MostNames = 3;

    /// <summary>Pure: the same snapshot and order give the same decisions.</summary>
    /// <param name="ordered">The snapshot's waiting jobs, first come first.</param>
    /// <param name="longestHold">As <see cref="PlacementOptions.LongestHold"/>.</param>
    /// <returns>One decision a job, in the same order.</returns>
    public static IReadOnlyList<PlacementDecision> Decide(
        ClusterSnapshot snapshot, IReadOnlyList<WaitingJob> ordered, TimeSpan longestHold)
    {
        var free = new FreeDevices(snapshot.Nodes);
        var verdicts = new Dictionary<string, Verdict>();
        var decisions = new List<PlacementDecision>(ordered.Count);
        var position = 0;
        foreach (var job in ordered)
        {
            var pauses = job.NotBefore > snapshot.TakenAt;
            if (pauses)
                decisions.Add(
                    new PlacementDecision.Waits(job.Id, 0, $"waits until {job.NotBefore:HH:mm:ss} UTC after a failure: {job.Reason}"));
            if (pauses && job.NotBefore - snapshot.TakenAt > longestHold)
                continue;

            // Devices only get fewer during a cycle: what did not fit once fits no more.
            var shape = job.Need.Shape();
            if (!verdicts.TryGetValue(shape, out var verdict))
            {
                if (pauses && free.Hold(job, $"job {job.Id}, which starts again at {job.NotBefore:HH:mm:ss} UTC after a failure"))
                    continue;
                if (!pauses && free.Take(job) is { } ranks)
                {
                    decisions.Add(new PlacementDecision.Placed(job.Id, ranks));
                    continue;
                }

                verdict = Judge(job.Need, snapshot, longestHold, free);
                verdicts.Add(shape, verdict);
            }

            if (!pauses)
                decisions.Add(new PlacementDecision.Waits(job.Id, ++position, verdict.Text));
            // What the cluster cannot run, ever or as it is now, keeps nothing from the others.
            if (verdict.Keeps)
                free.Keep(job.Need, $"job {job.Id}");
        }

        return decisions;
    }

    private static Verdict Judge(DeviceNeed need, ClusterSnapshot snapshot, TimeSpan longestHold, FreeDevices free)
    {
        if (Feasibility.Explain(need, snapshot.Nodes) is { } infeasible)
            return new Verdict(false, infeasible);
        var (unclaimed, idle, total) = free.Count(need);
        if (unclaimed >= need.Devices && free.ClaimOn(need) is { } claim)
            return new Verdict(true, $"waits its turn: the free devices are kept for {claim}");
        var reason = $"needs {need.Devices} {need.Noun} at once{(need.MaxPerNode > 0 ? $", at most {need.MaxPerNode} a node" : "")}; "
            + $"{unclaimed} of the {total} that it could use are free{DescribeLost(need, snapshot.Nodes)}";
        if (!Feasibility.Suffices(need, [.. snapshot.Nodes.Where(n => n.LostAt is null || snapshot.TakenAt - n.LostAt < longestHold)]))
            return new Verdict(false, $"{reason}; others may start before it");
        var memory = idle > unclaimed
            ? $"; others take the memory beside {idle - unclaimed} idle ones: each rank needs {need.Memory.Text(need.Kinds)}"
            : "";
        return new Verdict(true, reason + memory);
    }

    /// <summary>", 2 are on a lost node (node-b)", or nothing.</summary>
    private static string DescribeLost(DeviceNeed need, IReadOnlyList<NodeCapacity> nodes)
    {
        var (devices, lost) = need.Kinds.Select(kind => Lost(kind)).MaxBy(each => each.Devices);
        if (devices == 0)
            return "";
        var names = string.Join(", ", lost.Take(MostNames)) + (lost.Count > MostNames ? ", …" : "");
        return $", {devices} {(devices == 1 ? "is" : "are")} on {(lost.Count == 1 ? "a lost node" : "lost nodes")} ({names})";

        (int Devices, List<string> Nodes) Lost(DeviceKind kind)
        {
            var usable = nodes.Where(n => n.LostAt is not null && need.CouldUse(n, kind)).ToList();
            return (usable.Sum(n => need.Capped(n.Count(kind, need.Memory.On(kind)))), usable.ConvertAll(n => n.Name));
        }
    }

    /// <param name="Keeps">Nobody behind it may take what it could use.</param>
    /// <param name="Text">For what it waits.</param>
    private sealed record Verdict(bool Keeps, string Text);
}
