using Cluster.Scheduler.Runs;

namespace Cluster.Scheduler.Dashboard;

/// <summary>A series by epoch: the mean of each one's points, which is not finite where one of them is not.</summary>
/// <param name="maxPoints">As in <see cref="Curve"/>.</param>
public sealed class EpochMeans(int maxPoints)
{
    private readonly Curve _ended = new(maxPoints);
    private int _epoch;
    private double _sum;
    private long _count;
    private bool _hasChanged;

    /// <summary>Points come epoch by epoch, as training does.</summary>
    public void Add(int epoch, double value)
    {
        if (_count > 0 && epoch != _epoch)
        {
            _ended.Add(Mean);
            (_sum, _count) = (0, 0);
        }

        (_epoch, _sum, _count, _hasChanged) = (epoch, _sum + value, _count + 1, true);
    }

    /// <summary>What has changed since the last call, with the mean so far of the epoch under way; null: nothing.</summary>
    public CurveChange? TakeChange()
    {
        if (!_hasChanged)
            return null;
        _hasChanged = false;
        return _ended.TakeChange() is { } change
            ? change with { Points = [.. change.Points, Mean] }
            : new CurveChange([Mean], Replaced: null);
    }

    private CurvePoint Mean => new(_epoch, _sum / _count, _epoch);
}
