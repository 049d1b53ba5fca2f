namespace Cluster.Dashboard.Charts;

/// <summary>Which curves of several runs lie over each other, and along what, as an address says.</summary>
/// <param name="Quantity">"loss" or "accuracy".</param>
/// <param name="Part">"train", "validation" or "test".</param>
public sealed record CurveChoice(string Quantity, string Part, ChartAxis Axis, bool IsLogarithmic)
{
    public static readonly string[] Quantities = ["loss", "accuracy"];
    public static readonly string[] Parts = ["validation", "train", "test"];

    /// <summary>All series that a choice may be of.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Parts.SelectMany(part => Quantities.Select(quantity => $"{part}/{quantity}"))];

    public string Name => $"{Part}/{Quantity}";

    /// <summary>As a part of an address; what is not given is the default.</summary>
    public string Query => $"curve={Quantity}&part={Part}&by={Axis.ToString().ToLowerInvariant()}{(IsLogarithmic ? "&log=true" : "")}";

    public static CurveChoice Of(string? quantity, string? part, string? axis, bool? isLogarithmic) => new(
        Quantities.Contains(quantity) ? quantity! : Quantities[0],
        Parts.Contains(part) ? part! : Parts[0],
        Enum.TryParse<ChartAxis>(axis, ignoreCase: true, out var known) && Enum.IsDefined(known) ? known : ChartAxis.Epoch,
        isLogarithmic ?? false);
}
