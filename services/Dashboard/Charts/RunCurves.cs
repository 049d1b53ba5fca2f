using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Charts;

/// <summary>One run's curves as they grow, with a bound to what is kept of them however long it trains.</summary>
/// <param name="names">The series that are shown.</param>
/// <param name="maxPoints">Of a series when it is read; three times as many once more have come.</param>
public sealed class RunCurves(Caller caller, string job, IReadOnlyList<string> names, int maxPoints)
{
    // A run that goes back often is not read anew more often than this.
    private static readonly TimeSpan BetweenReadings = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, List<MetricPoint>> _series = [];

    /// <summary>Grows with each point that comes.</summary>
    public int Version { get; private set; }

    public IReadOnlyList<MetricPoint> Points(string name) => _series.GetValueOrDefault(name) ?? [];

    /// <summary>
    /// Until the run is over; again from the beginning when it has gone back to a checkpoint, or is too long to be kept whole.
    /// </summary>
    public async Task FollowAsync(Action hasCome, TimeProvider time, CancellationToken cancellationToken)
    {
        while (await ReadAsync(hasCome, cancellationToken))
            await Task.Delay(BetweenReadings, time, cancellationToken);
    }

    /// <returns>Whether to read again from the beginning.</returns>
    private async Task<bool> ReadAsync(Action hasCome, CancellationToken cancellationToken)
    {
        var request = new StreamMetricsRequest { JobId = job, Names = { names }, Follow = true, MaxPoints = maxPoints };
        using var call = caller.Runs.StreamMetrics(request, await caller.StreamAsync(cancellationToken));
        var isFirst = true;
        await foreach (var message in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            if (isFirst)
                _series.Clear();
            isFirst = false;
            foreach (var point in message.Points)
            {
                if (!Add(point))
                    return true;
            }

            Version++;
            hasCome();
        }

        return false;
    }

    /// <returns>False when what is kept does not stand any more.</returns>
    private bool Add(MetricPoint point)
    {
        if (!_series.TryGetValue(point.Name, out var points))
            _series.Add(point.Name, points = []);
        var last = points.Count > 0 ? points[^1].Step : long.MinValue;
        if (last == point.Step)
            points.RemoveAt(points.Count - 1);
        points.Add(point);
        return point.Step >= last && points.Count <= 3 * maxPoints;
    }
}
