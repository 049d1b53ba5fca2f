using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Forecasts;

/// <summary>One way in which it might go on: jobs come and run for so long, and whoever waits starts by the rules.</summary>
/// <remarks>
/// The rules are those of the cycle, with devices counted instead of chosen. Queues that lie in others take turns as if they did not; what
/// others do not lend and what owners may have is left out; who is stopped is drawn from those that may be.
/// </remarks>
internal sealed class ForecastRun
{
    // Of each queue, so many behind its head may start before it.
    private const int BackfillDepth = 32;

    // Looking at a job, a waiting or a running one, costs so little of a step.
    private const int LooksAStep = 16;

    // What happens so shortly one after the other, for how far off it is, is taken to happen at once. That costs little of what is known so
    // far ahead, and a long way takes hundreds of steps instead of tens of thousands.
    private const double Together = 0.02;

    private readonly ForecastInput _input;
    private readonly Chance _chance;
    private readonly long[] _free;
    private readonly double _grace;
    private readonly double _patience;
    private readonly List<Going> _ends = [];
    private readonly Dictionary<QueueFacts, QueueState> _queues = [];
    private readonly List<QueueState> _open = [];
    private readonly List<Claim> _claims = [];
    private readonly Dictionary<JobKey, double> _starts = [];
    private Release _release;
    private int _asked;
    private long _looks;

    public ForecastRun(ForecastInput input, Chance chance)
    {
        (_input, _chance, _free, _looks) = (input, chance, [.. input.Free], (long)input.Work * LooksAStep);
        (_grace, _patience) = (input.Grace.TotalSeconds, input.Patience.TotalSeconds);
        foreach (var line in input.Lines)
        {
            _queues.Add(line.Queue, new QueueState(line, input));
            _asked += line.Jobs.Length;
        }

        foreach (var run in input.Runs)
        {
            var going = new Going(run.Pools, StateOf(run.Queue), run.Again) { IsStopped = run.IsStopped, IsNever = run.IsNever };
            going.Queue.Run(going, isNew: run.IsNew);
            End(going, run.IsStopped ? SecondsOf(run.Left) : SecondsOf(run.Left, run.Ran.TotalSeconds));
        }
    }

    /// <summary>When each job starts, in seconds from now; one that does not is left out.</summary>
    public Dictionary<JobKey, double> Play()
    {
        var comes = Next(0);
        for (var now = 0.0; ;)
        {
            StartAll(now);
            // Where it is known of no job when it ends, those that come change nothing for those that wait.
            if (_asked == 0 || _ends.Count == 0 || double.IsInfinity(_ends[0].At) || (_looks -= LooksAStep) < 0)
                return _starts;
            var first = Math.Max(now, Math.Min(_ends[0].At, comes));
            AgePast(first - now);
            var (last, until) = (first, first * (1 + Together));
            for (; comes <= until; comes = Next(comes))
            {
                var (line, wait) = _chance.OneOf(_input.Coming);
                StateOf(line).Put(wait with { Job = default, Age = DateTimeOffset.MaxValue });
                last = Math.Max(last, comes);
            }

            for (; _ends.Count > 0 && _ends[0].At <= until; EndFirst())
                last = Math.Max(last, _ends[0].At);
            now = (first + last) / 2;
        }
    }

    private void AgePast(double seconds)
    {
        var kept = Math.Pow(2, -Seconds(seconds) / _input.HalfLife);
        foreach (var queue in _queues.Values)
            queue.AgePast(kept);
    }

    private double Next(double now) =>
        _input.Coming.Count == 0 ? double.PositiveInfinity : now + _chance.Gap(_input.ComingASecond);

    private void EndFirst()
    {
        var ended = _ends[0];
        _ends.RemoveAt(0);
        _release = default;
        foreach (var (pool, count) in ended.Pools)
            _free[pool] += count;
        ended.Queue.End(ended);
        if (ended.IsStopped)
            ended.Queue.Put(ended.Again);
    }

    private void StartAll(double now)
    {
        _claims.Clear();
        _open.Clear();
        var isFull = Array.TrueForAll(_free, free => free == 0);
        foreach (var queue in _queues.Values)
        {
            if (!queue.IsEmpty && (!isFull || MayAsk(queue)))
                _open.Add(queue);
        }

        while (_open.Count > 0)
        {
            _looks -= _open.Count;
            var next = _open.MinBy(queue => (queue.Share(), -queue.Head.Priority, queue.Head.Age))!;
            if (TryStart(next, 0, now))
            {
                if (next.IsEmpty)
                    _open.Remove(next);
                continue;
            }

            _open.Remove(next);
            if (next.IsFull(next.Head))
                continue;
            var claim = ClaimOf(next.Head, now);
            if (claim.At > now + _patience && MayAsk(next) && TryStop(next, now))
                claim = ClaimOf(next.Head, now);
            // Of what can never be, or nobody knows when, nothing is kept.
            if (double.IsFinite(claim.At))
                _claims.Add(claim);
            if (!isFull)
                Backfill(next, now);
        }
    }

    /// <summary>Whether others may be stopped for its head.</summary>
    private bool MayAsk(QueueState queue) =>
        queue.Head.Priority > queue.LeastPriority || (queue.IsOwed(queue.Head) && IsAnyBeyond(queue.Head.Kind));

    private bool IsAnyBeyond(DeviceClass kind)
    {
        foreach (var queue in _queues.Values)
        {
            if (queue.IsBeyond(kind))
                return true;
        }

        return false;
    }

    private bool TryStart(QueueState queue, int index, double now)
    {
        _looks--;
        var wait = queue.At(index);
        if (queue.IsFull(wait) || Room(wait) < wait.Devices || !IsInNobodysWay(wait, now))
            return false;
        _looks -= LooksAStep;
        var (wanted, taken) = (wait.Devices, new List<(int, int)>());
        foreach (var pool in wait.Pools)
        {
            var count = (int)Math.Min(_free[pool], wanted);
            if (count == 0)
                continue;
            _free[pool] -= count;
            taken.Add((pool, count));
            wanted -= count;
        }

        queue.RemoveAt(index);
        if (wait.IsAsked)
        {
            _starts.Add(wait.Job, now);
            _asked--;
        }

        var going = new Going(taken, queue, wait with { IsAsked = false });
        queue.Run(going, isNew: true);
        End(going, now + (wait.IsDrawn ? SecondsOf(wait.Runtime) : SecondsOf(wait.Runtime, 0)));
        return true;
    }

    /// <summary>Who ends before those start that are before it, or needs what they leave then, goes before them.</summary>
    private bool IsInNobodysWay(Wait wait, double now)
    {
        var ends = wait.Runtime is { } runtime ? now + runtime.Late.TotalSeconds : double.PositiveInfinity;
        foreach (var claim in _claims)
        {
            if (ends > claim.At && wait.Devices > claim.Extra && claim.Meets(wait))
                return false;
        }

        foreach (var claim in _claims)
        {
            if (ends > claim.At)
                claim.Extra -= wait.Devices;
        }

        return true;
    }

    private void Backfill(QueueState queue, double now)
    {
        var (pools, room) = (queue.Head.Pools, Room(queue.Head));
        for (var (index, looked) = (1, 0); index < queue.Count && looked < BackfillDepth; looked++)
        {
            // Most of them could have the same devices, of which there are too few: that is seen without a look.
            if (queue.At(index) is var wait && ReferenceEquals(wait.Pools, pools) && wait.Devices > room)
                index++;
            else if (TryStart(queue, index, now))
                room = Room(queue.Head);
            else
                index++;
        }
    }

    /// <summary>When the job starts: what is claimed by others counts as taken from now on.</summary>
    private Claim ClaimOf(Wait wait, double now)
    {
        var needed = (long)wait.Devices;
        foreach (var claim in _claims)
            needed += claim.Meets(wait) ? claim.Wait.Devices : 0;
        if (!ReferenceEquals(_release.Pools, wait.Pools) || needed < _release.Needed)
            _release = new Release(wait.Pools, 0, Room(wait), 0);
        var (looked, room) = (_release.Ends, _release.Room);
        for (; looked < _ends.Count && room < needed; looked++)
            room += _ends[looked].DevicesIn(wait.Pools);
        _looks -= looked - _release.Ends;
        _release = new Release(wait.Pools, looked, room, needed);
        var at = room < needed ? double.PositiveInfinity : looked == 0 ? now : _ends[looked - 1].At;
        return new Claim(wait, at) { Extra = Math.Max(0, room - needed) };
    }

    /// <summary>Has others stopped, so that the head of the queue starts once they have had their time for a checkpoint.</summary>
    private bool TryStop(QueueState queue, double now)
    {
        var (head, isOwed, soon) = (queue.Head, queue.IsOwed(queue.Head), now + _grace);
        var lack = head.Devices - Room(head) - _ends.TakeWhile(going => going.At <= soon).Sum(going => going.DevicesIn(head.Pools));
        foreach (var claim in _claims)
            lack += claim.Meets(head) ? claim.Wait.Devices : 0;
        var (chosen, first) = (new List<Going>(), _chance.Below(_ends.Count));
        for (var i = 0; i < _ends.Count && lack > 0; i++)
        {
            var going = _ends[(first + i) % _ends.Count];
            if (going.IsStopped || going.IsNever || going.At <= soon || going.DevicesIn(head.Pools) is not (var useful and > 0))
                continue;
            if (going.Queue == queue ? going.Again.Priority >= head.Priority : !isOwed || !going.Queue.IsBeyond(going.Kind))
                continue;
            going.Queue.Leave(going.Kind, going.Devices);
            chosen.Add(going);
            lack -= useful;
        }

        _looks -= _ends.Count;
        foreach (var going in chosen)
        {
            if (lack > 0)
                going.Queue.Leave(going.Kind, -going.Devices);
            else
                Stop(going, soon);
        }

        return lack <= 0;
    }

    /// <summary>It goes on later, from its checkpoint.</summary>
    private void Stop(Going going, double soon)
    {
        _ends.Remove(going);
        _release = default;
        var left = double.IsInfinity(going.At) ? null : new ExpectedRuntime(Seconds(going.At - soon), Seconds(going.At - soon));
        going.Again = going.Again with { Age = DateTimeOffset.MinValue, Runtime = left, IsDrawn = true };
        going.IsStopped = true;
        End(going, soon);
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    /// <summary>How long a job goes on that has so much behind it.</summary>
    private double SecondsOf(ExpectedRuntime? left, double ran)
    {
        if (left is null || _input.Endings is null)
            return SecondsOf(left);
        var whole = ran + left.Likely.TotalSeconds;
        return _input.Endings.Draw(_chance, ran / whole) is { } part ? (part * whole) - ran : SecondsOf(left);
    }

    private double SecondsOf(ExpectedRuntime? runtime) =>
        runtime is null ? double.PositiveInfinity : _chance.Seconds(runtime.Likely, runtime.Late);

    private void End(Going going, double at)
    {
        _release = default;
        going.At = at;
        var index = _ends.BinarySearch(going, Going.ByEnd);
        _ends.Insert(index < 0 ? ~index : index, going);
    }

    private long Room(Wait wait)
    {
        var room = 0L;
        foreach (var pool in wait.Pools)
            room += _free[pool];
        return room;
    }

    private QueueState StateOf(QueueFacts queue)
    {
        if (!_queues.TryGetValue(queue, out var state))
            _queues.Add(queue, state = new QueueState(new Line(queue, []), _input));
        return state;
    }

    /// <summary>Devices that the job is going to have; so many more are free then.</summary>
    private sealed record Claim(Wait Wait, double At)
    {
        public long Extra { get; set; }

        public bool Meets(Wait other) => ReferenceEquals(Wait.Pools, other.Pools) || Wait.Pools.Intersect(other.Pools).Any();
    }

    /// <summary>How far the ends have been followed, until so many devices are free: who needs more of them goes on from there.</summary>
    private readonly record struct Release(int[]? Pools, int Ends, long Room, long Needed);
}
