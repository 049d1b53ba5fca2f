namespace Cluster.Contracts.Catalog;

/// <summary>Options that several models have with one meaning.</summary>
internal static class SharedOptions
{
    public static OptionDefinition Classes { get; } = OptionDefinition.FromData(
        ModelCatalog.Classes, data => data.Classes, "2 to 100000", classes => classes is >= 2 and <= 100_000, "outputs of the last layer");

    public static OptionDefinition Channels { get; } = OptionDefinition.FromData(
        ModelCatalog.Channels, data => data.Channels, "1 to 16", channels => channels is >= 1 and <= 16, "channels of an input image");

    /// <summary>Of nets that end in fully connected layers.</summary>
    public static OptionDefinition FixedInputSize { get; } = OptionDefinition.FromData(
        ModelCatalog.InputSize, data => data.Height, "224 or 28 to 64", size => size is 224 or (>= 28 and <= 64),
        "pixels a side; 224 is the published net, 28 to 64 builds it with smaller strides");

    /// <summary>Of nets that end in a global average.</summary>
    public static OptionDefinition AnyInputSize { get; } = OptionDefinition.FromData(
        ModelCatalog.InputSize, data => data.Height, "96 to 384 or 28 to 64", size => size is (>= 96 and <= 384) or (>= 28 and <= 64),
        "pixels a side; from 96 on it is the published net, 28 to 64 builds it with a smaller stem");

    public static OptionDefinition Width { get; } = OptionDefinition.Number(
        "width", 1.0, "more than 0 and at most 1", width => width is > 0 and <= 1, "factor on every layer's channels and hidden units");

    public static OptionDefinition WidthMultiplier { get; } = OptionDefinition.Number(
        "widthMultiplier", 1.0, "more than 0 and at most 2", width => width is > 0 and <= 2,
        "the paper's factor on every layer's channels");

    public static OptionDefinition Dropout(double byDefault, string where) => OptionDefinition.Number(
        "dropout", byDefault, "at least 0 and less than 1", dropout => dropout is >= 0 and < 1,
        $"probability with which a unit {where} is dropped");

    public static OptionDefinition DropoutForm { get; } = OptionDefinition.Word(
        "dropoutForm", "inverted", ["inverted", "original"],
        "inverted divides kept units by the keep probability while training; original multiplies all by it at test, as in 2012");

    public static OptionDefinition Init(string paper) =>
        OptionDefinition.Word("init", "paper", ["paper", "he"], $"paper: {paper}; he: normal, variance 2/fan-in");
}
