using System.Globalization;

namespace Cluster.Dashboard.Charts;

/// <summary>Which curves of several runs lie over each other, and along what, as an address says.</summary>
/// <param name="Quantity">"loss" or "accuracy".</param>
/// <param name="Part">"train", "validation" or "test".</param>
public sealed record CurveChoice(string Quantity, string Part, ChartAxis Axis)
{
    /// <summary>More would be a straight line.</summary>
    public const double MostSmoothing = 0.99;

    public static readonly string[] Quantities = ["loss", "accuracy"];
    public static readonly string[] Parts = ["validation", "train", "test"];

    /// <summary>Along which runs can be compared.</summary>
    public static readonly ChartAxis[] Axes = [ChartAxis.Epoch, ChartAxis.Step, ChartAxis.Time, ChartAxis.Clock];

    /// <summary>All series that a choice may be of.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Parts.SelectMany(part => Quantities.Select(quantity => $"{part}/{quantity}"))];

    public string Name => $"{Part}/{Quantity}";

    /// <summary>Of the values.</summary>
    public bool IsLogarithmic { get; init; }

    /// <summary>Of what they lie along; a date has no logarithm.</summary>
    public bool IsLogarithmicAlong { get; init; }

    /// <inheritdoc cref="ChartSeries.Smoothed"/>
    public double Smoothing { get; init; }

    /// <summary>As a part of an address; what is not given is the default.</summary>
    public string Query => $"curve={Quantity}&part={Part}&by={Axis.ToString().ToLowerInvariant()}"
        + (IsLogarithmic ? "&log=true" : "") + (IsLogarithmicAlong ? "&logx=true" : "")
        + (Smoothing > 0 ? $"&smooth={Smoothing.ToString(CultureInfo.InvariantCulture)}" : "");

    public static CurveChoice Of(string? quantity, string? part, string? axis) => new(
        Quantities.Contains(quantity) ? quantity! : Quantities[0],
        Parts.Contains(part) ? part! : Parts[0],
        Enum.TryParse<ChartAxis>(axis, ignoreCase: true, out var known) && Axes.Contains(known) ? known : Axes[0]);

    public CurveChoice Shown(bool? isLogarithmic, bool? isLogarithmicAlong, double? smoothing) => this with
    {
        IsLogarithmic = isLogarithmic ?? false,
        IsLogarithmicAlong = isLogarithmicAlong == true && Axis != ChartAxis.Clock,
        Smoothing = smoothing is > 0 and var asked ? Math.Min(asked, MostSmoothing) : 0,
    };
}
