namespace Cluster.Placement.Forecasts;

/// <summary>Where among the ways of their forecasts the starts lay that came: by that the next forecasts are set right.</summary>
/// <remarks>
/// What the ways leave out makes all of them too early or too late. If half of the starts come before three tenths of the ways' do, three
/// tenths is what is said of half from then on; so that what is claimed of half and of nine tenths is kept as often as that (Kuleshov,
/// Fenner and Ermon, Accurate Uncertainties for Deep Learning Using Calibrated Regression, 2018). Short and long waits err differently, and
/// are told apart.
/// </remarks>
public sealed class Calibration
{
    // Of each length of wait. Some hundred places tell nine tenths to 2 or 3 %.
    private const int Most = 200;

    // From so many on they say more than nothing does.
    private const int Fewest = 50;

    // So near to the start a way is right: it counts as half before and half after it.
    private static readonly TimeSpan Right = TimeSpan.FromSeconds(10);

    private readonly Dictionary<int, Queue<double>> _places = [];

    /// <summary>Takes note of a start.</summary>
    /// <param name="told">What the job was told first.</param>
    public void Note(JobForecast told, DateTimeOffset started)
    {
        if (told.Ways.IsEmpty)
            return;
        var (before, with) = (told.Ways.Count(way => way < started - Right), told.Ways.Count(way => (way - started).Duration() <= Right));
        var length = LengthOf(told.Ways[told.Ways.Length / 2] - told.At);
        if (!_places.TryGetValue(length, out var places))
            _places.Add(length, places = []);
        places.Enqueue((before + (with / 2.0)) / told.Ways.Length);
        if (places.Count > Most)
            places.Dequeue();
    }

    /// <summary>What is known now.</summary>
    internal CalibratedLevels SoFar() => new(
        _places.Where(same => same.Value.Count >= Fewest).ToDictionary(same => same.Key, same => same.Value.Order().ToArray()));

    /// <summary>The same for waits that differ by less than twice.</summary>
    internal static int LengthOf(TimeSpan wait) => (int)Math.Log2(Math.Max(1, wait.TotalMinutes));
}

/// <param name="places">In order, by the length of the wait.</param>
internal sealed class CalibratedLevels(IReadOnlyDictionary<int, double[]> places)
{
    public static CalibratedLevels None { get; } = new(new Dictionary<int, double[]>());

    /// <summary>Which part of the ways' starts is to be said of a part of the starts.</summary>
    /// <param name="claimed">That part.</param>
    /// <param name="wait">How long the job waits in the middle way.</param>
    public double Of(double claimed, TimeSpan wait) =>
        places.TryGetValue(Calibration.LengthOf(wait), out var known) ? known[(int)(claimed * (known.Length - 1))] : claimed;
}
