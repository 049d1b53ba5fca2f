using Cluster.Contracts;

namespace Cluster.Scheduler.Placement;

/// <summary>Gives waiting jobs their devices: all that a job asks for, or none.</summary>
/// <remarks>
/// How long a job runs is not known, so any device that a later job took could delay an earlier one that waits. Hence the rule of
/// backfill: a job may pass those before it, but only onto devices that none of them could use.
/// </remarks>
internal static class GangPlacement
{
    /// <summary>Pure: the same snapshot and order give the same decisions.</summary>
    /// <param name="ordered">The snapshot's waiting jobs, first come first.</param>
    /// <returns>One decision a job, in the same order.</returns>
    public static IReadOnlyList<PlacementDecision> Decide(ClusterSnapshot snapshot, IReadOnlyList<WaitingJob> ordered)
    {
        var free = new FreeDevices(snapshot.Nodes);
        var verdicts = new Dictionary<string, Verdict>();
        var decisions = new List<PlacementDecision>(ordered.Count);
        var position = 0;
        JobId? ahead = null;
        foreach (var job in ordered)
        {
            if (job.NotBefore > snapshot.TakenAt)
            {
                decisions.Add(new PlacementDecision.Waits(job.Id, 0, $"waits until {job.NotBefore:HH:mm:ss} UTC after a failure: {job.Reason}"));
                continue;
            }

            // Devices only get fewer during a cycle: what did not fit once fits no more.
            var shape = job.Need.Shape();
            if (!verdicts.TryGetValue(shape, out var verdict))
            {
                if (free.Take(job) is { } ranks)
                {
                    decisions.Add(new PlacementDecision.Placed(job.Id, ranks));
                    continue;
                }

                verdict = Judge(job.Need, snapshot.Nodes, free);
                verdicts.Add(shape, verdict);
            }

            decisions.Add(new PlacementDecision.Waits(job.Id, ++position, Explain(verdict, ahead)));
            // What the cluster cannot ever run keeps nothing from the others.
            if (verdict.Feasible)
            {
                ahead ??= job.Id;
                free.Keep(job.Need);
            }
        }

        return decisions;
    }

    private static Verdict Judge(DeviceNeed need, IReadOnlyList<NodeCapacity> nodes, FreeDevices free)
    {
        if (Feasibility.Explain(need, nodes) is { } infeasible)
            return new Verdict(false, false, infeasible);
        var (unclaimed, idle, total) = free.Count(need);
        var memory = idle > unclaimed ? $"; others take the memory beside {idle - unclaimed} idle ones: each rank needs {need.Memory.Text(need.Kinds)}" : "";
        return new Verdict(true, unclaimed >= need.Devices,
            $"needs {need.Devices} {need.Noun} at once{(need.MaxPerNode > 0 ? $", at most {need.MaxPerNode} a node" : "")}; {unclaimed} of the {total} that it could use are free{memory}");
    }

    private static string Explain(Verdict verdict, JobId? ahead) => verdict switch
    {
        { Feasible: false } => verdict.Text,
        { Fits: true } when ahead is { } head => $"waits its turn: the free devices are kept for job {head}",
        _ => verdict.Text,
    };

    /// <param name="Feasible">The cluster as registered could run it some day.</param>
    /// <param name="Fits">It would fit now, were nothing kept for others.</param>
    private sealed record Verdict(bool Feasible, bool Fits, string Text);
}
