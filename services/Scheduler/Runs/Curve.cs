namespace Cluster.Scheduler.Runs;

/// <summary>
/// A series in a bounded number of points, however long it is: of each bucket along x the last point, the lowest and the highest value, and
/// the first of each kind of value that is not finite. No spike and no gap is lost.
/// </summary>
/// <remarks>
/// Buckets are as wide as a power of two and begin at its multiples, and are as narrow as the bound allows. So the curve depends on the
/// points alone, not on the order in which they came, and one that grows only ever joins neighbouring buckets. For the same reason a curve
/// made of another curve's points is the one that would be made of all points, if it is no finer.
/// </remarks>
/// <param name="maxPoints">At most so many. While there are no more points than that, all stay.</param>
/// <param name="shift">Buckets are 2^shift wide at least: that of the curve whose points are added.</param>
public sealed class Curve(int maxPoints, int shift = 0)
{
    /// <summary>So many are always enough: those of a single bucket.</summary>
    public const int FewestPoints = PointsOfABucket;

    private const int PointsOfABucket = 6;

    private Dictionary<long, Bucket> _buckets = [];

    /// <summary>Buckets are 2^shift wide.</summary>
    public int Shift { get; private set; } = shift;

    /// <summary>In ascending x.</summary>
    public IEnumerable<CurvePoint> Points => _buckets.OrderBy(bucket => bucket.Key).SelectMany(bucket => bucket.Value.Points());

    public void Add(CurvePoint point)
    {
        var index = point.X >> Shift;
        if (!_buckets.TryGetValue(index, out var bucket))
            _buckets.Add(index, bucket = new Bucket());
        bucket.Add(point);
        while ((Shift == 0 ? 1 : PointsOfABucket) * _buckets.Count > maxPoints)
            Widen();
    }

    private void Widen()
    {
        var wider = new Dictionary<long, Bucket>();
        foreach (var (index, bucket) in _buckets)
        {
            if (wider.TryGetValue(index >> 1, out var begun))
                begun.Add(bucket);
            else
                wider.Add(index >> 1, bucket);
        }

        (_buckets, Shift) = (wider, Shift + 1);
    }

    /// <summary>Of equal values the first is kept, so that the order in which points come does not matter.</summary>
    private sealed class Bucket
    {
        private CurvePoint? _last;
        private CurvePoint? _lowest;
        private CurvePoint? _highest;
        private CurvePoint? _notANumber;
        private CurvePoint? _infinite;
        private CurvePoint? _negativeInfinite;

        public void Add(CurvePoint point)
        {
            // At the same x the later one counts.
            if (_last is not { } last || point.X >= last.X)
                _last = point;
            if (double.IsNaN(point.Y))
                _notANumber = Earlier(_notANumber, point);
            else if (double.IsPositiveInfinity(point.Y))
                _infinite = Earlier(_infinite, point);
            else if (double.IsNegativeInfinity(point.Y))
                _negativeInfinite = Earlier(_negativeInfinite, point);
            else
                AddFinite(point);
        }

        public void Add(Bucket other)
        {
            foreach (var kept in other.Kept())
            {
                if (kept is { } point)
                    Add(point);
            }
        }

        /// <summary>In ascending x, each once.</summary>
        public List<CurvePoint> Points()
        {
            var points = new List<CurvePoint>(PointsOfABucket);
            foreach (var kept in Kept())
            {
                if (kept is { } point && !points.Contains(point))
                    points.Add(point);
            }

            points.Sort((a, b) => a.X.CompareTo(b.X));
            return points;
        }

        // The last one last: at the same x it is the one that counts, also in another bucket.
        private CurvePoint?[] Kept() => [_lowest, _highest, _notANumber, _infinite, _negativeInfinite, _last];

        private void AddFinite(CurvePoint point)
        {
            if (_lowest is not { } lowest || point.Y < lowest.Y || (point.Y == lowest.Y && point.X < lowest.X))
                _lowest = point;
            if (_highest is not { } highest || point.Y > highest.Y || (point.Y == highest.Y && point.X < highest.X))
                _highest = point;
        }

        private static CurvePoint Earlier(CurvePoint? one, CurvePoint other) => one is { } known && known.X <= other.X ? known : other;
    }
}

/// <param name="X">A step.</param>
/// <param name="Y">Perhaps not finite.</param>
/// <param name="Epoch">That the step is in.</param>
/// <param name="Time">When it was measured.</param>
/// <param name="Attempt">That it was measured in.</param>
public readonly record struct CurvePoint(long X, double Y, int Epoch, DateTime Time = default, int Attempt = 0);
