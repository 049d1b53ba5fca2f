namespace Cluster.Placement.Forecasts;

/// <summary>What of the future is drawn by lot.</summary>
internal sealed class Chance(int seed)
{
    // The normal distribution's 90th percentile: how far "late" is from "likely".
    private const double LateDeviations = 1.2816;

    private readonly Random _random = new(seed);

    public int Below(int count) => count == 0 ? 0 : _random.Next(count);

    public T OneOf<T>(IReadOnlyList<T> those) => those[_random.Next(those.Count)];

    /// <summary>Until the next of those of which so many come in a second.</summary>
    public double Gap(double aSecond) => -Math.Log(1 - _random.NextDouble()) / aSecond;

    /// <summary>Log-normal: what is expected to take twice as long is off by twice as much.</summary>
    public double Seconds(TimeSpan likely, TimeSpan late)
    {
        var median = Math.Max(1, likely.TotalSeconds);
        var deviation = Math.Log(Math.Max(1, late.TotalSeconds / median)) / LateDeviations;
        var normal = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
        return median * Math.Exp(normal * deviation);
    }
}
