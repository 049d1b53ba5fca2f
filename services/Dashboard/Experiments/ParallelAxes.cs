using System.Globalization;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Experiments;

/// <summary>A trial on its way through the axes.</summary>
/// <param name="Settings">By their paths.</param>
/// <param name="Metric">What it is judged by; null: it has none yet.</param>
public sealed record ParallelTrial(string Id, IReadOnlyDictionary<string, string> Settings, double? Metric);

/// <summary>An axis of what trials differ in.</summary>
/// <param name="Name">The last part of the setting's path; the whole path where two axes would have one name.</param>
/// <param name="Marks">Values with their places, from 0 at the bottom to 1.</param>
public sealed record ParallelAxis(string Name, IReadOnlyList<(double At, string Text)> Marks);

/// <summary>A trial's place on each axis; null: it has no value there.</summary>
/// <param name="Standing">From 0, the best, to 1; null: nothing is known of it.</param>
public sealed record ParallelLine(string Id, IReadOnlyList<double?> Places, double? Standing);

/// <summary>Parallel coordinates: an axis for each setting that trials differ in, the last one for what came of it.</summary>
public sealed record ParallelAxes(IReadOnlyList<ParallelAxis> Axes, IReadOnlyList<ParallelLine> Lines)
{
    private const int MostSettings = 8;

    // More words than these cannot be read on an axis.
    private const int MostWords = 16;

    // From here on orders of magnitude are what differs.
    private const double LogarithmicFrom = 100;

    /// <summary>The best trials where there are more than can be drawn.</summary>
    public static ParallelAxes Of(IReadOnlyList<ParallelTrial> trials, string metric, bool isSmallerBetter, int mostLines)
    {
        var order = trials.OrderBy(trial => trial.Metric is not { } value || !double.IsFinite(value))
            .ThenBy(trial => isSmallerBetter ? trial.Metric : -trial.Metric).ToList();
        var judged = order.Count(trial => trial.Metric is { } value && double.IsFinite(value));
        var drawn = order.Take(mostLines).ToList();
        var scales = drawn.SelectMany(trial => trial.Settings.Keys).Distinct().Order(StringComparer.Ordinal)
            .Select(setting => Scale.Of(setting, [.. drawn.Select(trial => trial.Settings.GetValueOrDefault(setting))]))
            .OfType<Scale>().Take(MostSettings).ToList();
        scales = [.. scales.Select(scale => scale.Named(scales.Count(other => NameOf(other.Setting) == NameOf(scale.Setting)) > 1))];
        var result = Scale.OfNumbers(metric, [.. drawn.Select(trial => trial.Metric)], mayBeLogarithmic: false);
        return new ParallelAxes(
            [.. scales.Append(result).Select(scale => scale.Axis)],
            [
                .. drawn.Select((trial, index) => new ParallelLine(
                    trial.Id, [.. scales.Append(result).Select(scale => scale.Places[index])],
                    index < judged ? (double)index / Math.Max(1, judged - 1) : null)),
            ]);
    }

    // As the scheduler's columns are called for short: "optimizer" of "hyperparameters.optimizer.name".
    private static string NameOf(string setting)
    {
        var whole = setting.EndsWith(".name", StringComparison.Ordinal) ? setting[..^".name".Length] : setting;
        return whole[(whole.LastIndexOf('.') + 1)..];
    }

    /// <param name="Setting">The path; of the last axis the metric.</param>
    private sealed record Scale(string Setting, ParallelAxis Axis, IReadOnlyList<double?> Places)
    {
        /// <param name="isOfSeveral">Another axis has the same name for short.</param>
        public Scale Named(bool isOfSeveral) => this with { Axis = Axis with { Name = isOfSeveral ? Setting : NameOf(Setting) } };

        /// <returns>Null: it cannot be told apart on an axis.</returns>
        public static Scale? Of(string setting, IReadOnlyList<string?> values)
        {
            var words = values.Distinct().ToList();
            if (words.Count < 2)
                return null;
            var numbers = values.Select(Number).ToList();
            if (!values.Where((value, index) => value is not null && numbers[index] is null).Any())
                return OfNumbers(setting, numbers, mayBeLogarithmic: true);
            var known = words.OfType<string>().Order(StringComparer.Ordinal).ToList();
            return known.Count > MostWords ? null : OfWords(setting, values, known);
        }

        public static Scale OfNumbers(string name, IReadOnlyList<double?> values, bool mayBeLogarithmic)
        {
            var known = values.OfType<double>().Where(double.IsFinite).ToList();
            if (known.Count == 0)
                return new Scale(name, new ParallelAxis(name, []), [.. values.Select(_ => (double?)null)]);
            var (low, high) = (known.Min(), known.Max());
            var isLogarithmic = mayBeLogarithmic && low > 0 && high / low >= LogarithmicFrom;
            return new Scale(
                name,
                new ParallelAxis(name, low < high
                    ? [(0, Shown(low)), (0.5, Shown(Middle())), (1, Shown(high))]
                    : [(0.5, Shown(low))]),
                [.. values.Select(value => value is { } number && double.IsFinite(number) ? Place(number) : (double?)null)]);

            double Place(double value) => low == high
                ? 0.5
                : isLogarithmic ? Math.Log(value / low) / Math.Log(high / low) : (value - low) / (high - low);

            double Middle() => isLogarithmic ? Math.Sqrt(low * high) : (low + high) / 2;
        }

        // Beside an axis there is little room.
        private static string Shown(double value) => value.ToString("G3", CultureInfo.InvariantCulture);

        private static Scale OfWords(string name, IReadOnlyList<string?> values, List<string> known)
        {
            var places = known.Select((word, index) => (word, At: known.Count == 1 ? 0.5 : (double)index / (known.Count - 1)))
                .ToDictionary(word => word.word, word => word.At);
            return new Scale(
                name,
                new ParallelAxis(name, [.. known.Select(word => (places[word], Figures.Visible(word)))]),
                [.. values.Select(value => value is null ? (double?)null : places[value])]);
        }

        private static double? Number(string? value) =>
            double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
                ? number
                : null;
    }
}
