namespace Cluster.Models.Vgg;

/// <summary>A column of Table 1 of Simonyan and Zisserman 2014, arXiv:1409.1556.</summary>
/// <param name="Name">The registry's name.</param>
/// <param name="Convolutions">How many each of the five stages has.</param>
/// <param name="PointwiseLast">Net C: the third convolution of a stage is 1×1.</param>
/// <param name="BatchNorm">After each convolution; not in the paper, which is older, but in torchvision.</param>
/// <param name="LocalResponseNorm">Net A-LRN: after the first convolution.</param>
public sealed record VggNet(
    string Name, IReadOnlyList<int> Convolutions, bool PointwiseLast = false, bool BatchNorm = false, bool LocalResponseNorm = false)
{
    /// <summary>Channels of the stages.</summary>
    public static IReadOnlyList<int> Channels { get; } = [64, 128, 256, 512, 512];

    /// <summary>A.</summary>
    public static VggNet Vgg11 { get; } = new("vgg11", [1, 1, 2, 2, 2]);

    /// <summary>A with batch normalisation.</summary>
    public static VggNet Vgg11Bn { get; } = Vgg11 with { Name = "vgg11_bn", BatchNorm = true };

    /// <summary>A-LRN.</summary>
    public static VggNet Vgg11Lrn { get; } = Vgg11 with { Name = "vgg11_lrn", LocalResponseNorm = true };

    /// <summary>B.</summary>
    public static VggNet Vgg13 { get; } = new("vgg13", [2, 2, 2, 2, 2]);

    /// <summary>B with batch normalisation.</summary>
    public static VggNet Vgg13Bn { get; } = Vgg13 with { Name = "vgg13_bn", BatchNorm = true };

    /// <summary>D.</summary>
    public static VggNet Vgg16 { get; } = new("vgg16", [2, 2, 3, 3, 3]);

    /// <summary>D with batch normalisation.</summary>
    public static VggNet Vgg16Bn { get; } = Vgg16 with { Name = "vgg16_bn", BatchNorm = true };

    /// <summary>C.</summary>
    public static VggNet Vgg16C { get; } = Vgg16 with { Name = "vgg16_c", PointwiseLast = true };

    /// <summary>E.</summary>
    public static VggNet Vgg19 { get; } = new("vgg19", [2, 2, 4, 4, 4]);

    /// <summary>E with batch normalisation.</summary>
    public static VggNet Vgg19Bn { get; } = Vgg19 with { Name = "vgg19_bn", BatchNorm = true };
}
