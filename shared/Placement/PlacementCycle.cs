using System.Collections.Immutable;

namespace Cluster.Placement;

/// <summary>Gives waiting jobs their devices: all that a job asks for, or none.</summary>
/// <remarks>
/// How long a job runs is not known, so any device that a later job took could delay an earlier one that waits. Hence the rule of
/// backfill: a job may pass those before it, but only onto devices that none of them could use. A job that waits out its pause after a
/// failure keeps its place: what it would start on is held for it against those behind it, and goes to those before it. A node that was
/// lost a moment ago is expected back; what fits only with nodes that have been lost for long keeps nothing from anybody.
/// </remarks>
internal sealed class PlacementCycle
{
    private readonly WaitingIndex _waiting;
    private readonly DateTimeOffset _now;
    private readonly PlacementPolicy _policy;
    private readonly FreeDevices _free;
    private readonly Verdicts _verdicts;

    // Devices only get fewer during a cycle: what did not fit once fits no more.
    private readonly Dictionary<Shape, Verdict> _settled = [];
    private readonly Dictionary<WaitingBucket, int> _started = [];
    private readonly ImmutableArray<JobStart>.Builder _starts = ImmutableArray.CreateBuilder<JobStart>();

    private PlacementCycle(NodeIndex nodes, WaitingIndex waiting, FreeDevices free, DateTimeOffset now, PlacementPolicy policy)
    {
        (_waiting, _free, _now, _policy) = (waiting, free, now, policy);
        _verdicts = new Verdicts(nodes, free, now, policy);
    }

    public static PlacementPlan Run(NodeIndex nodes, WaitingIndex waiting, DateTimeOffset now, PlacementPolicy policy)
    {
        // What it gives and holds is taken back in the end: it happens when the plan is committed, and told.
        using var free = new FreeDevices(nodes);
        return new PlacementCycle(nodes, waiting, free, now, policy).Run();
    }

    private PlacementPlan Run()
    {
        var heads = new PriorityQueue<(WaitingBucket Bucket, IEnumerator<WaitingJob> Jobs), WaitingJob>(QueueOrder.Instance);
        foreach (var bucket in _waiting.Buckets)
            Advance(bucket, bucket.Jobs.GetEnumerator());
        while (heads.TryDequeue(out var head, out var job))
        {
            if (GoesOn(head.Bucket, job))
                Advance(head.Bucket, head.Jobs);
        }

        var pausing = _waiting.Pausing(_now);
        return new PlacementPlan(_starts.DrainToImmutable(), [.. _waiting.Buckets.SelectMany(Waits)], pausing.Values.Sum());

        void Advance(WaitingBucket bucket, IEnumerator<WaitingJob> jobs)
        {
            if (jobs.MoveNext())
                heads.Enqueue((bucket, jobs), jobs.Current);
        }

        IEnumerable<WaitingShape> Waits(WaitingBucket bucket)
        {
            var jobs = bucket.Jobs.Count - _started.GetValueOrDefault(bucket) - pausing.GetValueOrDefault(bucket);
            if (jobs > 0)
                yield return new WaitingShape(bucket.Queue, bucket.Shape.Key, _settled[bucket.Shape].Reason, jobs);
        }
    }

    /// <returns>Whether anything is to be decided about those behind it in its bucket.</returns>
    private bool GoesOn(WaitingBucket bucket, WaitingJob job)
    {
        var shape = bucket.Shape;
        if (_settled.ContainsKey(shape))
            return false;
        var pauses = job.Pauses(_now);
        if (pauses && (job.NotBefore - _now > _policy.LongestHold || _free.Hold(job, shape, Claim(job))))
            return true;
        if (!pauses && _free.Take(job, shape) is { } ranks)
        {
            _starts.Add(new JobStart(job.Id, ranks));
            _started[bucket] = _started.GetValueOrDefault(bucket) + 1;
            return true;
        }

        var verdict = _verdicts.Judge(shape);
        _settled.Add(shape, verdict);
        // What the cluster cannot run, ever or as it is now, keeps nothing from the others.
        if (verdict.Keeps)
            _free.Keep(shape, $"job {job.Id}");
        return false;
    }

    private static string Claim(WaitingJob job) =>
        $"job {job.Id}, which starts again at {WaitReason.Clock(job.NotBefore!.Value)} after a failure";
}
