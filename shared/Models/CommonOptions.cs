using Cluster.Models.Layers;

namespace Cluster.Models;

/// <summary>The options that the families share, with one meaning and one range each.</summary>
internal static class CommonOptions
{
    /// <summary>The largest image that a family builds its reduced stem for.</summary>
    public const int LargestSmallInput = 64;

    /// <summary>From here on a small image is halved once more than below.</summary>
    public const int HalvedSmallInput = 48;

    /// <summary><c>inputSize channels classes</c> of a net that ends in fully connected layers: 224, or a small image.</summary>
    public static ClassifierShape FixedSize(ModelOptions options) => Shape(options, size => size == 224, "224", 224, published: 224);

    /// <summary>
    /// <c>inputSize channels classes</c> of a net that ends in a global average: 96 to 384, or a small image; <paramref name="published"/>
    /// if not given.
    /// </summary>
    public static ClassifierShape AnySize(ModelOptions options, int published = 224) =>
        Shape(options, size => size is >= 96 and <= 384, "96 to 384", 384, published);

    /// <summary>Factor on every layer's channels and hidden units.</summary>
    public static double Width(ModelOptions options) =>
        options.Number("width", 1, "more than 0 and at most 1", width => width is > 0 and <= 1);

    /// <summary>Probability of dropping a unit.</summary>
    public static double Dropout(ModelOptions options, double fallback) =>
        options.Number("dropout", fallback, "at least 0 and less than 1", dropout => dropout is >= 0 and < 1);

    /// <summary>Where dropout corrects for the units that it drops.</summary>
    public static DropoutForm DropoutForm(ModelOptions options) =>
        options.Choice("dropoutForm", "inverted", "original") == "inverted" ? Layers.DropoutForm.Inverted : Layers.DropoutForm.Original;

    /// <summary>Whether the parameters start as the paper says, rather than as He et al. do.</summary>
    public static bool PaperInit(ModelOptions options) => options.Choice("init", "paper", "he") == "paper";

    /// <summary><paramref name="channels"/> of the full net, in one of this width.</summary>
    public static int Scaled(int channels, double width) => Math.Max(1, (int)Math.Round(channels * width));

    private static ClassifierShape Shape(ModelOptions options, Func<int, bool> accepts, string large, int largest, int published)
    {
        var size = options.Whole("inputSize", published, 28, largest);
        if (size > LargestSmallInput && !accepts(size))
            throw options.Wrong("inputSize", size, $"give {large}, or 28 to {LargestSmallInput} for the reduced stem");
        return new ClassifierShape(options.Whole("channels", 3, 1, 16), size, options.Whole("classes", 1000, 2, 100_000));
    }
}
