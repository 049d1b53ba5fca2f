using System.Collections.Immutable;
using Cluster.Placement.Backfill;
using Cluster.Placement.Elastic;
using Cluster.Placement.Preemption;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement;

/// <summary>Gives waiting jobs their devices: all that a job asks for, or none.</summary>
/// <remarks>
/// <para>
/// Queues take turns, the one first that is furthest from its share; within a queue priority counts, then age. A job that does not fit has
/// others stopped for it where its queue is owed that, or where they have a lower priority. Else the first of its queue is promised a
/// start, as soon as running jobs are expected to have ended, and those behind it may start meanwhile where that does not delay it.
/// </para>
/// <para>
/// Where it is not known when enough jobs end, any device that a later job took could delay an earlier one. Hence the rule for these: a job
/// may pass those before it, but only onto devices that none of them could use.
/// </para>
/// <para>
/// A job that failed has its devices held for it, for a moment, against all but a higher priority; without devices of its own it keeps its
/// place, and what it would start on is held for it against those behind it. What fits only with nodes that are lost keeps nothing from
/// anybody, unless the policy has it that they are expected back.
/// </para>
/// </remarks>
internal sealed class PlacementCycle
{
    private readonly CycleInput _input;
    private readonly CycleTerms _terms;
    private readonly FreeDevices _free;
    private readonly QueueLedger _ledger;
    private readonly Shares _shares;
    private readonly Verdicts _verdicts;
    private readonly Reserver _reserver;
    private readonly Preemptor _preemptor;
    private readonly Restarts _restarts;
    private readonly bool _othersWait;

    // Devices only get fewer during a cycle: what did not fit once fits no more, nor does what runs longer.
    private readonly Dictionary<(Shape Shape, int RuntimeClass), Verdict> _settled = [];
    private readonly HashSet<Shape> _kept = [];

    // Lines of which a job waits that could run: those behind it are owed nothing, or it would never come to its turn.
    private readonly HashSet<QueueNode> _blocked = [];
    private readonly Dictionary<QueueNode, WaitReason> _closed = [];
    private readonly Dictionary<WaitingBucket, WaitReason> _reasons = [];
    private readonly HashSet<(NodeGroup Group, DeviceClass Kind)> _wanted = [];
    private readonly HashSet<(QueueNode Line, DeviceClass Kind)> _lacking = [];
    private readonly Dictionary<WaitingBucket, int> _started = [];
    private readonly ImmutableArray<JobStart>.Builder _starts = ImmutableArray.CreateBuilder<JobStart>();

    private PlacementCycle(CycleInput input, FreeDevices free, QueueLedger ledger, CycleTerms terms)
    {
        (_input, _free, _ledger, _terms) = (input, free, ledger, terms);
        _shares = new Shares(input.Nodes.Registered, terms.Time, terms.Policy);
        _verdicts = new Verdicts(input.Nodes, free, terms.Time, terms.Policy);
        _reserver = new Reserver(input.Nodes, input.Running, free, terms.Time, terms.Policy);
        _preemptor = new Preemptor(input.Running, free, ledger, _reserver, terms);
        _restarts = new Restarts(input.Waiting, free, terms);
        _othersWait = !input.Queues.IsOneLine && input.Waiting.Buckets.DistinctBy(bucket => bucket.Line).Skip(1).Any();
    }

    public static PlacementPlan Run(CycleInput input, CycleTerms terms)
    {
        // What it gives, holds and charges is taken back in the end: it happens when the plan is committed, and told.
        using var free = new FreeDevices(input.Nodes);
        using var ledger = new QueueLedger();
        return new PlacementCycle(input, free, ledger, terms).Run();
    }

    private PlacementPlan Run()
    {
        _restarts.Begin(TryStartOnItsOwn);
        var lines = new QueueLines(_input.Waiting.Buckets, _input.Queues.Root, _shares, (bucket, job) =>
            Waits(bucket, QuotaGate.Explain(bucket.Line, job.Owner, bucket.Shape.Need.Kinds[0], bucket.Shape.Need.Fewest)));
        while (lines.Next() is { } head)
            lines.Return(head, GoesOn(head.Bucket, head.Jobs.Current));

        var grown = _input.Running.Growable.Count == 0 ? [] : new Growth(_input.Running, _free, _ledger, _shares, _terms)
            .Grow(_reserver.IsStopped, (group, kind) => _wanted.Contains((group, kind))).ToList();
        var pausing = _input.Waiting.Pausing(_terms.Time);
        var backingOff = pausing.GroupBy(each => each.Key.Queue).ToDictionary(same => same.Key, same => same.Sum(each => each.Value));
        return new PlacementPlan(_starts.DrainToImmutable(), Waiting(pausing), backingOff)
        {
            Preemptions = [.. _preemptor.Preemptions],
            Resizes = [.. _preemptor.Shrinks, .. grown],
            Reservations = [.. _reserver.Made],
            Uses = [.. UseRecorder.Record(_input.Queues, _lacking, _terms.Time, _terms.Policy.HalfLife)],
        };
    }

    /// <summary>Why each shape of a queue waits: what is said of its first job.</summary>
    private ImmutableArray<WaitingShape> Waiting(Dictionary<WaitingBucket, int> pausing)
    {
        var waiting = new Dictionary<(QueueKey, string), WaitingShape>(_input.Waiting.Buckets.Count);
        foreach (var bucket in _input.Waiting.Buckets)
        {
            var jobs = bucket.Jobs.Count - _started.GetValueOrDefault(bucket) - pausing.GetValueOrDefault(bucket);
            if (jobs <= 0)
                continue;
            var key = (bucket.Queue, bucket.Shape.Key);
            if (waiting.TryGetValue(key, out var other))
                waiting[key] = other with { Jobs = other.Jobs + jobs };
            else
                waiting.Add(key, new WaitingShape(bucket.Queue, bucket.Shape.Key, _reasons[bucket], jobs));
        }

        return [.. waiting.Values];
    }

    /// <returns>Whether anything is to be decided about those behind it in its bucket.</returns>
    private bool GoesOn(WaitingBucket bucket, WaitingJob job)
    {
        if (_restarts.IsSettled(job))
            return true;
        var (shape, settled) = (bucket.Shape, _settled.GetValueOrDefault((bucket.Shape, bucket.Key.RuntimeClass)));
        if (_closed.Count > 0 && ClosedFor(bucket.Line) is { } closed)
            return Waits(bucket, closed);
        if (settled is not null && (!settled.Keeps || IsSettledForAll(bucket, job)))
            return Waits(bucket, settled.Reason);
        if (job.Pauses(_terms.Time))
        {
            if (job.NotBefore - _terms.Time > _terms.Policy.LongestHold || (settled is null && _free.Hold(job, shape, Restarts.Claim(job))))
                return true;
        }
        else
        {
            var most = Most(bucket, job);
            if (most.Count > 0 && (settled is null || _restarts.HoldsBelow(job.Priority)) && TryStart(bucket, job, most))
                return true;
            if (_preemptor.TryMakeRoom(job, bucket, isFirst: !_blocked.Contains(bucket.Line)))
            {
                _reasons.TryAdd(bucket, Verdicts.MakesRoom(shape.Need));
                return true;
            }

            if (most.Count == 0)
                return WaitsForQuota(bucket, job);
        }

        return Settle(bucket, job, settled);
    }

    /// <summary>Whether no queue, and no running or paused job, makes the job another one than the first of its shape.</summary>
    private bool IsSettledForAll(WaitingBucket bucket, WaitingJob job) =>
        _input.Queues.IsOneLine && _kept.Contains(bucket.Shape) && !_restarts.HoldsBelow(job.Priority)
        && !_input.Running.RunsBelow(bucket.Line, job.Priority);

    /// <summary>How many devices of each kind quotas leave it, of the kinds of which they leave it enough.</summary>
    /// <param name="goesOn">It had its devices already, or was given them.</param>
    private List<(DeviceClass Kind, int Most)> Most(WaitingBucket bucket, WaitingJob job, bool goesOn = false)
    {
        var need = bucket.Shape.Need;
        var most = new List<(DeviceClass, int)>(need.Kinds.Length);
        foreach (var kind in need.Kinds)
        {
            var room = _input.Queues.IsOneLine ? need.Devices
                : QuotaGate.Room(bucket.Line, job.Owner, kind, _free.Left(kind) - _ledger.Promised(kind));
            var unshared = goesOn ? long.MaxValue : Unshared(bucket.Line, kind, need);
            if (room >= need.Fewest)
                most.Add((kind, (int)Math.Min(Math.Min(room, need.Devices), unshared)));
        }

        return most;
    }

    /// <summary>While other queues wait, a job that could do with less takes no more than its queue is owed; it grows later.</summary>
    private long Unshared(QueueNode line, DeviceClass kind, DeviceNeed need) =>
        need.MinDevices > 0 && _othersWait ? Math.Max(need.Fewest, line.Nominal(kind) - line.Used(kind)) : long.MaxValue;

    private bool TryStart(WaitingBucket bucket, WaitingJob job, List<(DeviceClass Kind, int Most)> most)
    {
        var until = job.EndIfStarted(_terms.Time);
        var placed = _free.Take(job, bucket.Shape, until, most)
            ?? _restarts.WithoutHoldsBelow(job.Priority, () => _free.Take(job, bucket.Shape, until, most));
        return Start(bucket, job, placed);
    }

    private bool TryStartOnItsOwn(WaitingBucket bucket, WaitingJob job) =>
        Start(bucket, job, _free.TakeOwn(job, bucket.Shape, job.EndIfStarted(_terms.Time), Most(bucket, job, goesOn: true)));

    private bool Start(WaitingBucket bucket, WaitingJob job, Placed? placed)
    {
        if (placed is null)
            return false;
        _ledger.Charge(bucket.Line, job.Owner, placed.Kind, placed.Ranks.Length);
        _starts.Add(new JobStart(job.Id, placed.Ranks));
        _started[bucket] = _started.GetValueOrDefault(bucket) + 1;
        return true;
    }

    /// <summary>It waits, and so do those behind it in its bucket: what of the cluster is theirs is promised or kept for them.</summary>
    private bool Settle(WaitingBucket bucket, WaitingJob job, Verdict? settled)
    {
        var shape = bucket.Shape;
        var verdict = settled ?? _verdicts.Judge(shape);
        // Where a quota leaves it fewer kinds than it would take, others of the shape may still fit.
        if (Most(bucket, job).Count == shape.Need.Kinds.Length)
            _settled.TryAdd((shape, bucket.Key.RuntimeClass), verdict);
        // What the cluster cannot run, ever or as it is now, keeps nothing from the others.
        if (!verdict.Keeps)
            return Waits(bucket, verdict.Reason);
        foreach (var kind in shape.Need.Kinds)
        {
            _lacking.Add((bucket.Line, kind));
            if (_input.Running.Growable.Count > 0)
                _wanted.UnionWith(_free.Usable(shape, kind).Select(group => (group, kind)));
        }

        _blocked.Add(bucket.Line);
        var unsettled = _preemptor.IsUnsettled;
        if (!_kept.Contains(shape) && !_reserver.IsBehindAHead(bucket))
        {
            switch (_reserver.TryReserve(job, bucket))
            {
                case Promise.Unknown:
                    _free.Keep(shape, $"job {job.Id}");
                    _kept.Add(shape);
                    break;
                case Promise.NotSettled:
                    unsettled = true;
                    break;
            }
        }

        return Waits(bucket, unsettled ? Verdicts.NotSettled(verdict.Reason) : verdict.Reason);
    }

    /// <summary>Those behind it in a queue that is full wait, too: or it would wait for ever for enough of the limit at once.</summary>
    private bool WaitsForQuota(WaitingBucket bucket, WaitingJob job)
    {
        var need = bucket.Shape.Need;
        _blocked.Add(bucket.Line);
        if (QuotaGate.FullFor(bucket.Line, need.Kinds[0], need.Fewest) is { } full)
        {
            _closed.TryAdd(full, new WaitReason(
                WaitCause.WaitingForTurn, $"waits its turn: what queue '{full.Key}' may have is kept for job {job.Id}"));
        }

        return Waits(bucket, QuotaGate.Explain(bucket.Line, job.Owner, need.Kinds[0], need.Fewest));
    }

    private WaitReason? ClosedFor(QueueNode line)
    {
        foreach (var queue in line.Path)
        {
            if (_closed.TryGetValue(queue, out var reason))
                return reason;
        }

        return null;
    }

    private bool Waits(WaitingBucket bucket, WaitReason reason)
    {
        _reasons.TryAdd(bucket, reason);
        return false;
    }
}

/// <summary>What a cycle decides on.</summary>
internal sealed record CycleInput(NodeIndex Nodes, WaitingIndex Waiting, RunningIndex Running, QueueTree Queues);
