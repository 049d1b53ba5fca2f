using System.Collections.Immutable;

namespace Cluster.Contracts.Catalog;

/// <summary>The columns of Table 1 of He et al. 2015.</summary>
internal static class ResNetModels
{
    private static readonly ImmutableArray<OptionDefinition> Options =
    [
        SharedOptions.Classes, SharedOptions.Channels, SharedOptions.AnyInputSize, SharedOptions.Width,
        OptionDefinition.Flag("residual", true, "add each block's input to its output; false gives the paper's plain nets"),
        OptionDefinition.Word("shortcut", "B", ["A", "B"], "where shapes differ, A pads with zeros and B has a 1×1 convolution"),
        OptionDefinition.Word("init", "paper", ["paper", "he"], "both: normal, variance 2/fan-in, which is the paper's"),
    ];

    private static readonly OptionDefinition StridePlacement = OptionDefinition.Word(
        "stridePlacement", "torchvision", ["paper", "torchvision"],
        "which convolution of a bottleneck strides: paper the first 1×1, torchvision the 3×3");

    public static ImmutableArray<ModelDefinition> All { get; } =
    [
        Net("resnet18", Options, units: 10, 11_689_512, 1_814_073_344, 69.758, 89.078),
        Net("resnet34", Options, units: 18, 21_797_672, 3_663_761_408, 73.314, 91.420),
        Net("resnet50", [.. Options, StridePlacement], units: 18, 25_557_032, 4_089_184_256, 76.130, 92.862),
        Net("resnet101", [.. Options, StridePlacement], units: 35, 44_549_160, 7_801_405_440, 77.374, 93.546),
        Net("resnet152", [.. Options, StridePlacement], units: 52, 60_192_808, 11_513_626_624, 78.312, 94.046),
    ];

    private static ModelDefinition Net(
        string name, ImmutableArray<OptionDefinition> options, int units, long parameters, long multiplyAdds, double top1, double top5) =>
        new(name, "ResNet", ChannelGroups: 0, options, $"residual net of {name["resnet".Length..]} layers: He et al. 2015")
        {
            Units = units, // its blocks, the stem and the head
            BatchNorm = true,
            Facts = new("He, Zhang, Ren and Sun 2015, Deep residual learning for image recognition, arXiv:1512.03385", 3, 224, 1000,
                parameters, multiplyAdds)
            {
                Top1 = top1,
                Top5 = top5,
                Source = "torchvision 0.14, IMAGENET1K_V1, one crop",
            },
        };
}
