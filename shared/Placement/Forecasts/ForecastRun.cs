using Cluster.Placement.Queues;

namespace Cluster.Placement.Forecasts;

/// <summary>One way in which it might go on: jobs run for so long, and whoever waits starts by the rules.</summary>
internal sealed class ForecastRun
{
    // Of each queue, so many behind its head may start before it.
    private const int BackfillDepth = 32;

    private readonly ForecastInput _input;
    private readonly Func<TimeSpan, TimeSpan, double> _sample;
    private readonly long[] _free;
    private readonly SortedSet<(double At, int Number)> _ends = [];
    private readonly List<(List<(int Pool, int Count)> Pools, QueueState Queue)> _running = [];
    private readonly Dictionary<QueueNode, QueueState> _queues = [];
    private int _work;

    /// <param name="sample">How many seconds it takes what probably takes so long, and seldom longer than that.</param>
    public ForecastRun(ForecastInput input, Func<TimeSpan, TimeSpan, double> sample, int work)
    {
        (_input, _sample, _free, _work) = (input, sample, [.. input.Free], work);
        foreach (var line in input.Lines)
            _queues.Add(line.Queue, new QueueState(line));
        foreach (var run in input.Runs)
        {
            _ends.Add((sample(run.Likely, run.Late), _running.Count));
            _running.Add((run.Pools, StateOf(run.Queue)));
        }
    }

    /// <summary>When each job starts, in seconds from now; one that does not is left out.</summary>
    public Dictionary<JobKey, double> Play()
    {
        var starts = new Dictionary<JobKey, double>();
        for (var now = 0.0; ;)
        {
            StartAll(now, starts);
            if (_ends.Count == 0 || _work < 0 || _queues.Values.All(queue => queue.IsEmpty))
                return starts;
            now = _ends.Min.At;
            while (_ends.Count > 0 && _ends.Min.At <= now)
            {
                var (pools, queue) = _running[_ends.Min.Number];
                _ends.Remove(_ends.Min);
                foreach (var (pool, count) in pools)
                {
                    _free[pool] += count;
                    queue.Used -= count;
                }
            }
        }
    }

    private void StartAll(double now, Dictionary<JobKey, double> starts)
    {
        var open = _queues.Values.Where(queue => !queue.IsEmpty).ToList();
        while (open.Count > 0)
        {
            var next = open.MinBy(queue => (queue.Share(_input.Capacity), -queue.Head.Job.Priority, queue.Head.Job.Age))!;
            if (!TryStart(next, 0, now, starts))
            {
                open.Remove(next);
                Backfill(next, now, starts);
            }
            else if (next.IsEmpty)
            {
                open.Remove(next);
            }
        }
    }

    private bool TryStart(QueueState queue, int index, double now, Dictionary<JobKey, double> starts)
    {
        _work--;
        var wait = queue.At(index);
        var wanted = wait.Job.Need.Fewest;
        if (queue.Ceiling(wait.Job.Need.Kinds[0]) - queue.Used < wanted || Room(wait) < wanted)
            return false;
        var taken = new List<(int, int)>();
        foreach (var pool in wait.Pools)
        {
            var count = (int)Math.Min(_free[pool], wanted);
            if (count == 0)
                continue;
            _free[pool] -= count;
            taken.Add((pool, count));
            wanted -= count;
        }

        queue.Used += wait.Job.Need.Fewest;
        queue.RemoveAt(index);
        starts.Add(wait.Job.Id, now);
        if (wait.Job.RuntimeWith(wait.Job.Need.Fewest) is { } runtime)
        {
            _ends.Add((now + _sample(runtime.Likely, runtime.Late), _running.Count));
            _running.Add((taken, queue));
        }

        return true;
    }

    /// <summary>Who ends before the head starts, or needs what the head leaves then, goes before it.</summary>
    private void Backfill(QueueState queue, double now, Dictionary<JobKey, double> starts)
    {
        if (queue.IsEmpty)
            return;
        var (shadow, extra) = Shadow(queue.Head);
        for (var (index, looked) = (1, 0); index < queue.Count && looked < BackfillDepth; looked++)
        {
            var wait = queue.At(index);
            var devices = wait.Job.Need.Fewest;
            var ends = wait.Job.RuntimeWith(devices) is { } runtime ? now + runtime.Late.TotalSeconds : double.PositiveInfinity;
            if ((ends <= shadow || devices <= extra) && TryStart(queue, index, now, starts))
            {
                if (ends > shadow)
                    extra -= devices;
            }
            else
            {
                index++;
            }
        }
    }

    private (double At, long Extra) Shadow(Wait head)
    {
        var room = Room(head);
        foreach (var (at, number) in _ends)
        {
            if (--_work < 0)
                break;
            room += _running[number].Pools.Where(each => head.Pools.Contains(each.Pool)).Sum(each => each.Count);
            if (room >= head.Job.Need.Fewest)
                return (at, room - head.Job.Need.Fewest);
        }

        return (double.PositiveInfinity, 0);
    }

    private long Room(Wait wait)
    {
        var room = 0L;
        foreach (var pool in wait.Pools)
            room += _free[pool];
        return room;
    }

    private QueueState StateOf(QueueNode queue)
    {
        if (!_queues.TryGetValue(queue, out var state))
            _queues.Add(queue, state = new QueueState(new Line(queue, [])));
        return state;
    }

    /// <summary>A queue in it: all its devices are counted as one kind.</summary>
    private sealed class QueueState(Line line)
    {
        private readonly List<Wait> _waits = [.. line.Jobs];
        private int _first;

        public long Used { get; set; } = line.Queue.Used(DeviceClass.Cpu) + line.Queue.Used(DeviceClass.Cuda);

        public bool IsEmpty => Count == 0;

        public int Count => _waits.Count - _first;

        public Wait Head => _waits[_first];

        public Wait At(int index) => _waits[_first + index];

        public long Ceiling(DeviceClass kind) => line.Queue.Ceiling(kind) ?? long.MaxValue;

        public double Share(Func<DeviceClass, long> capacity)
        {
            var kind = Head.Job.Need.Kinds[0];
            var beyond = Used + Head.Job.Need.Fewest - line.Queue.Nominal(kind);
            var part = Math.Max(0, Used - line.Queue.Nominal(kind)) / (double)Math.Max(1, capacity(kind));
            return beyond <= 0 ? -1 : part / line.Queue.Weight;
        }

        public void RemoveAt(int index)
        {
            if (index == 0)
                _first++;
            else
                _waits.RemoveAt(_first + index);
        }
    }
}
