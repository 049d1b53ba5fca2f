using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Backfill;

/// <summary>Promises the head of each queue its start.</summary>
/// <remarks>
/// A queue has one head on each part of the cluster: who waits behind it for the same nodes is promised nothing, and may start before it
/// where that does not delay it.
/// </remarks>
internal sealed class Reserver(NodeIndex nodes, RunningIndex running, FreeDevices free, DateTimeOffset now, PlacementPolicy policy)
{
    private readonly ReleaseProfile _profile = new(running, now, policy);
    private readonly Dictionary<QueueNode, HashSet<(NodeGroup Group, DeviceClass Kind)>> _heads = [];
    private readonly List<Reservation> _made = [];

    // Devices that are on their way to somebody already, by this cycle's decision.
    private readonly HashSet<JobKey> _stopped = [];
    private readonly List<(ImmutableArray<GrantedDevice> Devices, RankMemory Memory)> _freed = [];
    private int _work = policy.SearchWork;

    public IReadOnlyList<Reservation> Made => _made;

    /// <summary>What this cycle may still look at.</summary>
    public ref int Work => ref _work;

    public bool IsStopped(JobKey job) => _stopped.Contains(job);

    /// <summary>The job gives up these devices within its grace period.</summary>
    public void Stop(RunningJob job, ImmutableArray<GrantedDevice> devices)
    {
        _stopped.Add(job.Id);
        _freed.Add((devices, job.Memory));
    }

    /// <summary>Room on nodes that nothing is kept on, with what this cycle has freed.</summary>
    public RoomTally Tally(Shape shape, DeviceClass kind)
    {
        var tally = new RoomTally(shape.Need.AtFewest(), kind, nodes, free.Unkept(shape, kind), free.Book);
        foreach (var (devices, memory) in _freed)
            tally.Free(devices, memory);
        return tally;
    }

    /// <summary>Whether one before it in its queue waits for nodes that it could use, too, and is promised them.</summary>
    public bool IsBehindAHead(WaitingBucket bucket) =>
        _heads.TryGetValue(bucket.Line, out var parts)
        && bucket.Shape.Need.Kinds.Any(kind => free.Usable(bucket.Shape, kind).Any(group => parts.Contains((group, kind))));

    /// <summary>Promises the job the first start for which the running jobs' expected ends suffice.</summary>
    public Promise TryReserve(WaitingJob job, WaitingBucket bucket)
    {
        if (running.Releases.Count == 0 && _freed.Count == 0)
            return Promise.Unknown;
        if (_made.Count >= policy.Reservations)
            return Promise.NotSettled;
        (DateTimeOffset At, DeviceClass Kind, RoomTally Tally)? first = null;
        foreach (var kind in bucket.Shape.Need.Kinds)
        {
            var tally = Tally(bucket.Shape, kind);
            if (_profile.Await(tally, _stopped, ref _work) is { } at && (first is null || at < first.Value.At))
                first = (at, kind, tally);
        }

        if (first is null)
            return _work < 0 ? Promise.NotSettled : Promise.Unknown;
        Reserve(job, bucket, first.Value.Kind, first.Value.Tally, first.Value.At);
        if (!_heads.TryGetValue(bucket.Line, out var parts))
            _heads.Add(bucket.Line, parts = []);
        foreach (var kind in bucket.Shape.Need.Kinds)
            parts.UnionWith(free.Usable(bucket.Shape, kind).Select(group => (group, kind)));
        return Promise.Made;
    }

    /// <param name="tally">In which the job fits by then.</param>
    public void Reserve(WaitingJob job, WaitingBucket bucket, DeviceClass kind, RoomTally tally, DateTimeOffset at)
    {
        var claim = $"job {job.Id}, which is to start at {WaitReason.Clock(at)}";
        var spread = tally.Spread();
        foreach (var (node, ranks, room) in spread)
            free.Book.Reserve(node, kind, at, Amount.Of(ranks, kind, bucket.Shape.Need.Memory), room, claim);
        _made.Add(new Reservation(job.Id, bucket.Queue, at, [.. spread.Select(each => new ReservedRanks(each.Node.Id, each.Ranks))]));
    }
}

internal enum Promise
{
    Made = 0,

    /// <summary>The running jobs of which it is known when they end do not suffice.</summary>
    Unknown = 1,

    /// <summary>The cycle's work was done before it was found.</summary>
    NotSettled = 2,
}
