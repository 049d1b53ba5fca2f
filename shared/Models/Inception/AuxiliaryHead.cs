using System.Globalization;
using Cluster.Models.Layers;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.Inception;

/// <summary>
/// Classifiers on a map in the middle of a net, which only training has: Szegedy et al. 2014, arXiv:1409.4842, §5, and 2015,
/// arXiv:1512.00567, §4, Fig. 8.
/// </summary>
internal static class AuxiliaryHead
{
    /// <summary>GoogLeNet's: (N, input, H, W) → 4×4 → 128 channels → 1024 units → (N, classes).</summary>
    public static Layer OfGoogLeNet(
        string name, int input, Layer pool, HeadOptions options, UnitStyle style, ClassifierShape shape, StepPosition position)
    {
        var (channels, hidden) = (style.Scaled(128), style.Scaled(1024));
        return nn.Sequential(
            ("pool", pool),                                                                        // N×input×4×4
            ("conv", new ConvUnit(input, channels, (1, 1), 1, (0, 0), style)),                     // N×128×4×4
            ("flatten", nn.Flatten()),
            ("fc1", FullyConnected.Undrawn(channels * 4 * 4, hidden, style.Dtype)),                // N×2048 → N×1024
            ("relu", nn.ReLU(inplace: true)),
            ("dropout", new CounterDropout(name, options.Dropout, hidden, 0, position)),
            ("fc2", FullyConnected.Undrawn(hidden, shape.Classes, style.Dtype)));                  // N×classes
    }

    /// <summary>Inception v3's, with normalisation: (N, input, H, W) → 5×5 → 128 channels → 1×1 of 768 → (N, classes).</summary>
    public static Layer OfV3(int input, UnitStyle style, ClassifierShape shape)
    {
        var (channels, last) = (style.Scaled(128), style.Scaled(768));
        return nn.Sequential(
            ("pool", HeadPool.OfV3()),                                                             // N×input×5×5
            ("conv0", new ConvUnit(input, channels, (1, 1), 1, (0, 0), style)),                    // N×128×5×5
            ("conv1", new ConvUnit(channels, last, (5, 5), 1, (0, 0), style)),                     // N×768×1×1
            ("avgpool", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("fc", nn.Linear(last, shape.Classes, dtype: style.Dtype)));                           // N×classes
    }
}

/// <summary>The options <c>auxiliaryHeads auxiliaryWeight auxiliaryDropout</c>.</summary>
/// <param name="Present">Whether the net has its heads.</param>
/// <param name="Weight">Of each head's loss beside the main one.</param>
/// <param name="Dropout">Probability of dropping a hidden unit of a head.</param>
internal sealed record HeadOptions(bool Present, double Weight, double Dropout)
{
    private const double PaperWeight = 0.3, PaperDropout = 0.7;

    /// <summary>Reads the three, or the first two where the heads have no hidden layer to drop from.</summary>
    public static HeadOptions Read(ModelOptions options, bool drops)
    {
        var present = options.Flag("auxiliaryHeads", true);
        var weight = options.Number("auxiliaryWeight", PaperWeight, "from 0 to 1", weight => weight is >= 0 and <= 1);
        var dropout = drops
            ? options.Number("auxiliaryDropout", PaperDropout, "at least 0 and less than 1", dropout => dropout is >= 0 and < 1)
            : PaperDropout;
        if (!present && (weight, dropout) != (PaperWeight, PaperDropout))
        {
            var (name, value) = weight != PaperWeight ? ("auxiliaryWeight", weight) : ("auxiliaryDropout", dropout);
            throw options.Wrong(name, value.ToString(CultureInfo.InvariantCulture), "auxiliaryHeads false leaves no heads: leave it out");
        }

        return new HeadOptions(present, weight, dropout);
    }
}
