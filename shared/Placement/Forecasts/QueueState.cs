namespace Cluster.Placement.Forecasts;

/// <summary>A queue in one way in which it might go on.</summary>
internal sealed class QueueState(Line line, ForecastInput input)
{
    private readonly QueueFacts _queue = line.Queue;
    private readonly List<Wait> _waits = [.. line.Jobs];
    private readonly long[] _used = [.. line.Queue.Used];
    private readonly long[] _leaving = new long[line.Queue.Used.Length];
    private readonly double[] _past = [.. line.Queue.Past];
    private int _first;

    /// <summary>Of the jobs that run, or less.</summary>
    public int LeastPriority { get; private set; } = int.MaxValue;

    public bool IsEmpty => Count == 0;

    public int Count => _waits.Count - _first;

    public Wait Head => _waits[_first];

    public Wait At(int index) => _waits[_first + index];

    /// <param name="isNew">Whether its devices are not counted yet.</param>
    public void Run(Going going, bool isNew)
    {
        _used[(int)going.Kind] += isNew ? going.Devices : 0;
        _leaving[(int)going.Kind] += going.IsStopped ? going.Devices : 0;
        LeastPriority = Math.Min(LeastPriority, going.Again.Priority);
    }

    public void End(Going going)
    {
        _used[(int)going.Kind] -= going.Devices;
        _leaving[(int)going.Kind] -= going.IsStopped ? going.Devices : 0;
    }

    /// <summary>So many of the devices in use are on their way out.</summary>
    public void Leave(DeviceClass kind, long devices) => _leaving[(int)kind] += devices;

    public bool IsFull(Wait wait) => _queue.Ceilings[(int)wait.Kind] - _used[(int)wait.Kind] < wait.Devices;

    /// <summary>Whether the job would leave it within its quota.</summary>
    public bool IsOwed(Wait wait) => _used[(int)wait.Kind] + wait.Devices <= _queue.Nominal[(int)wait.Kind];

    /// <summary>Whether it has more than its quota, without what is on its way out.</summary>
    public bool IsBeyond(DeviceClass kind) => _used[(int)kind] - _leaving[(int)kind] > _queue.Nominal[(int)kind];

    /// <summary>-1: its head is owed to it.</summary>
    public double Share()
    {
        if (IsOwed(Head))
            return -1;
        var kind = Head.Kind;
        return (Beyond(kind) + _past[(int)kind]) / Math.Max(1, _queue.Registered[(int)kind]) / _queue.Weight;
    }

    /// <summary>Time goes by, in which others want what it uses beyond its quota.</summary>
    /// <param name="kept">The part of past use that counts still.</param>
    public void AgePast(double kept)
    {
        foreach (var kind in QueueFacts.Kinds)
            _past[(int)kind] = (_past[(int)kind] * kept) + (input.PastUseWeight * Beyond(kind) * (1 - kept));
    }

    /// <summary>Behind all that come before it.</summary>
    public void Put(Wait wait)
    {
        var (from, to) = (_first, _waits.Count);
        while (from < to)
        {
            var middle = (from + to) / 2;
            if (IsBefore(wait, _waits[middle]))
                to = middle;
            else
                from = middle + 1;
        }

        _waits.Insert(from, wait);
    }

    public void RemoveAt(int index)
    {
        if (index == 0)
            _first++;
        else
            _waits.RemoveAt(_first + index);
    }

    private long Beyond(DeviceClass kind) => Math.Max(0, _used[(int)kind] - _queue.Nominal[(int)kind]);

    private static bool IsBefore(Wait x, Wait y) => x.Priority != y.Priority ? x.Priority > y.Priority : x.Age < y.Age;
}
