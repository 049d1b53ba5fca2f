namespace Cluster.Scheduler.Dashboard;

/// <summary>
/// A series as a page can show it, however long it is: of each bucket along x the first and the last point, the lowest and the highest
/// value, and the first of each kind of value that is not finite. No spike and no gap is lost.
/// </summary>
/// <remarks>
/// Buckets are as wide as a power of two and begin at its multiples, so they depend on the points alone and not on when they came. While
/// there are no more points than buckets, all points stay.
/// </remarks>
/// <param name="buckets">At most so many. A chart is no wider than about a thousand dots.</param>
public sealed class Curve(int buckets)
{
    private SortedDictionary<long, Bucket> _buckets = [];
    private int _shift;

    // Of the buckets that have changed since they were taken.
    private long _firstChanged = long.MaxValue;
    private long _lastChanged = long.MinValue;
    private bool _hasWidened;

    public void Add(CurvePoint point)
    {
        var index = point.X >> _shift;
        if (!_buckets.TryGetValue(index, out var bucket))
            _buckets.Add(index, bucket = new Bucket());
        bucket.Add(point);
        (_firstChanged, _lastChanged) = (Math.Min(_firstChanged, index), Math.Max(_lastChanged, index));
        while (_buckets.Count > buckets)
            Widen();
    }

    /// <summary>What has changed since the last call; null: nothing.</summary>
    public CurveChange? TakeChange()
    {
        if (_firstChanged > _lastChanged)
            return null;
        var changed = _buckets.Where(bucket => _hasWidened || (bucket.Key >= _firstChanged && bucket.Key <= _lastChanged));
        var points = changed.SelectMany(bucket => bucket.Value.Points()).ToList();
        var change = new CurveChange(points, (_hasWidened, _shift) switch
        {
            (true, _) => XRange.All,
            (false, 0) => null,
            _ => new XRange(_firstChanged << _shift, ((_lastChanged + 1) << _shift) - 1),
        });
        (_firstChanged, _lastChanged, _hasWidened) = (long.MaxValue, long.MinValue, false);
        return change;
    }

    private void Widen()
    {
        var wider = new SortedDictionary<long, Bucket>();
        foreach (var (index, bucket) in _buckets)
        {
            if (wider.TryGetValue(index >> 1, out var begun))
                begun.Add(bucket);
            else
                wider.Add(index >> 1, bucket);
        }

        (_buckets, _shift, _hasWidened) = (wider, _shift + 1, true);
        (_firstChanged, _lastChanged) = (_firstChanged >> 1, _lastChanged >> 1);
    }

    private sealed class Bucket
    {
        private CurvePoint? _first;
        private CurvePoint? _last;
        private CurvePoint? _lowest;
        private CurvePoint? _highest;
        private CurvePoint? _notANumber;
        private CurvePoint? _infinite;
        private CurvePoint? _negativeInfinite;

        public void Add(CurvePoint point)
        {
            if (_first is not { } first || point.X < first.X)
                _first = point;
            if (_last is not { } last || point.X >= last.X)
                _last = point;
            if (double.IsNaN(point.Y))
                _notANumber ??= point;
            else if (double.IsPositiveInfinity(point.Y))
                _infinite ??= point;
            else if (double.IsNegativeInfinity(point.Y))
                _negativeInfinite ??= point;
            else
                AddFinite(point);
        }

        public void Add(Bucket other)
        {
            foreach (var point in other.Points())
                Add(point);
        }

        /// <summary>In ascending x, each once.</summary>
        public IEnumerable<CurvePoint> Points() =>
            new[] { _first, _lowest, _highest, _notANumber, _infinite, _negativeInfinite, _last }
                .OfType<CurvePoint>().Distinct().OrderBy(point => point.X);

        private void AddFinite(CurvePoint point)
        {
            if (_lowest is not { } lowest || point.Y < lowest.Y)
                _lowest = point;
            if (_highest is not { } highest || point.Y > highest.Y)
                _highest = point;
        }
    }
}

/// <param name="X">A step or an epoch.</param>
/// <param name="Y">Perhaps not finite.</param>
/// <param name="Epoch">That the step is in.</param>
public readonly record struct CurvePoint(long X, double Y, int Epoch);

/// <param name="Points">In ascending x.</param>
/// <param name="Replaced">Where the points stand for all that were shown before; null: each only for the one at its own x.</param>
public sealed record CurveChange(IReadOnlyList<CurvePoint> Points, XRange? Replaced);

/// <summary>Both ends are included; null: without an end.</summary>
public sealed record XRange(long? From, long? To)
{
    public static XRange All { get; } = new(null, null);
}
