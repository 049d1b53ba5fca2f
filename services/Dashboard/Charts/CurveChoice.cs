using System.Globalization;
using Cluster.Dashboard.Layout;

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

    /// <summary>Validation loss by epoch.</summary>
    public static CurveChoice Usual { get; } = new(Quantities[0], Parts[0], Axes[0]);

    /// <summary>As a part of an address; what is not given is the default.</summary>
    public string Query => $"curve={Quantity}&part={Part}&by={Axis.ToString().ToLowerInvariant()}"
        + (IsLogarithmic ? "&log=true" : "") + (IsLogarithmicAlong ? "&logx=true" : "")
        + (Smoothing > 0 ? $"&smooth={Smoothing.ToString(CultureInfo.InvariantCulture)}" : "");

    /// <summary>What is not given is the default.</summary>
    public static CurveChoice Read(AddressReader address, string? quantity, string? part, string? axis)
    {
        var axes = Axes.Select(known => known.ToString().ToLowerInvariant());
        return new CurveChoice(
            address.Word("curve", quantity, Quantities) ?? Quantities[0], address.Word("part", part, Parts) ?? Parts[0],
            address.Word("by", axis, axes) is { } word ? Enum.Parse<ChartAxis>(word, ignoreCase: true) : Axes[0]);
    }

    /// <inheritdoc cref="Read"/>
    public CurveChoice Shown(AddressReader address, string? isLogarithmic, string? isLogarithmicAlong, string? smoothing) => this with
    {
        IsLogarithmic = address.Flag("log", isLogarithmic) ?? false,
        IsLogarithmicAlong = address.Flag("logx", isLogarithmicAlong) == true && Axis != ChartAxis.Clock,
        Smoothing = address.Number("smooth", smoothing, 0, MostSmoothing) ?? 0,
    };
}
