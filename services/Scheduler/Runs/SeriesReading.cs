namespace Cluster.Scheduler.Runs;

/// <summary>One series while it is read: first what is stored of it downsampled, then its points from where those are needed.</summary>
internal sealed class SeriesReading(string name, RolledSeries? rolled, int maxPoints)
{
    private const long Nowhere = long.MaxValue;

    // Stored points from where points are read: they count where the points themselves are gone.
    private readonly Dictionary<long, CurvePoint> _fallback = [];
    private (CurvePoint Point, int Rank, long Cursor)? _best;
    private bool _isTakenBack;

    public string Name => name;

    public Curve Curve { get; private set; } = new(maxPoints, rolled?.Shift ?? 0);

    /// <summary>From this step on the points are read.</summary>
    public long Since { get; private set; } = rolled is null ? 0 : Nowhere;

    /// <summary>Something new has come from this step on.</summary>
    public void ReadFrom(long step) => Since = Math.Min(Since, step >> Curve.Shift << Curve.Shift);

    /// <summary>
    /// An attempt has gone back to this step since it was stored. If points were taken back by that, the series may be so short now that
    /// its buckets are narrower.
    /// </summary>
    public void TakeBack(long? step)
    {
        if (rolled is null || step is null || rolled.Points[^1].X <= step)
            return;
        (Since, _isTakenBack, Curve) = (0, true, new Curve(maxPoints));
    }

    /// <summary>Takes what is stored, where no points are read.</summary>
    /// <returns>Whether points are to be read.</returns>
    public bool Begin(MetricExtent extent)
    {
        foreach (var point in rolled?.Points ?? [])
        {
            if (point.X < Since)
                Curve.Add(point);
            else if (extent.Counts(point.Attempt, point.X))
                _fallback[point.X] = point;
        }

        return Since != Nowhere;
    }

    /// <summary>Points come in ascending steps. Of several at one step the latest attempt's counts, of that the lowest rank's.</summary>
    public void Add(CurvePoint point, int rank, long cursor)
    {
        if (_best is { } best)
        {
            if (best.Point.X != point.X)
                TakeBest();
            else if ((best.Point.Attempt, -best.Rank, best.Cursor).CompareTo((point.Attempt, -rank, cursor)) > 0)
                return;
        }

        _best = (point, rank, cursor);
    }

    public void End()
    {
        TakeBest();
        foreach (var point in _fallback.Values)
            Curve.Add(point);
    }

    /// <summary>What is to be stored anew; null: nothing.</summary>
    public SeriesChange? Change()
    {
        if (Since == Nowhere)
            return null;
        var isWhole = rolled is null || _isTakenBack || rolled.Shift != Curve.Shift;
        // From the beginning of the part that it lies in.
        var since = isWhole ? long.MinValue : rolled!.PartStarts.LastOrDefault(start => start <= Since, long.MinValue);
        return new SeriesChange(name, Curve.Shift, since, Curve.Points.Where(point => point.X >= since));
    }

    private void TakeBest()
    {
        if (_best is not { } best)
            return;
        _fallback.Remove(best.Point.X);
        Curve.Add(best.Point);
        _best = null;
    }
}
