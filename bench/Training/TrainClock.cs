using System.Diagnostics;

namespace Cluster.Bench.Training;

/// <summary>Gives each row an equal share of the time that is left, so that what quick rows leave goes to slow ones.</summary>
internal sealed class TrainClock(TimeSpan budget, int rows)
{
    private readonly long _began = Stopwatch.GetTimestamp();
    private TimeSpan _rowEnds;

    /// <summary>For measuring; zero once a row's share is used up by its start.</summary>
    public TimeSpan LeftForRow => _rowEnds - Stopwatch.GetElapsedTime(_began) is { Ticks: > 0 } left ? left : TimeSpan.Zero;

    public void BeginRow(int row)
    {
        var now = Stopwatch.GetElapsedTime(_began);
        _rowEnds = now + ((budget - now) / (rows - row));
    }
}
