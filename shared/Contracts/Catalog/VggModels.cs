using System.Collections.Immutable;
using System.Globalization;

namespace Cluster.Contracts.Catalog;

/// <summary>The columns of Table 1 of Simonyan and Zisserman 2014.</summary>
internal static class VggModels
{
    private static readonly ImmutableArray<OptionDefinition> Options =
    [
        SharedOptions.Classes, SharedOptions.Channels, SharedOptions.FixedInputSize, SharedOptions.Width,
        SharedOptions.Dropout(0.5, "of the two hidden fully connected layers"),
        SharedOptions.Init("normal, σ 0.1 (deep nets need a trained start); biases 0"),
    ];

    public static ImmutableArray<ModelDefinition> All { get; } =
    [
        Net("vgg11", "A, eleven layers", 132_863_336, 7_609_090_048, 69.020, 88.628),
        Net("vgg11_bn", "A with batch normalisation", 132_868_840, 7_609_090_048, 70.370, 89.810),
        Net("vgg11_lrn", "A with local response normalisation", 132_863_336, 7_609_090_048),
        Net("vgg13", "B, thirteen layers", 133_047_848, 11_308_466_176, 69.928, 89.246),
        Net("vgg13_bn", "B with batch normalisation", 133_053_736, 11_308_466_176, 71.586, 90.374),
        Net("vgg16", "D, sixteen layers", 138_357_544, 15_470_264_320, 71.592, 90.382),
        Net("vgg16_bn", "D with batch normalisation", 138_365_992, 15_470_264_320, 73.360, 91.516),
        Net("vgg16_c", "C, sixteen layers, three of them 1×1", 133_638_952, 11_770_888_192),
        Net("vgg19", "E, nineteen layers", 143_667_240, 19_632_062_464, 72.376, 90.876),
        Net("vgg19_bn", "E with batch normalisation", 143_678_248, 19_632_062_464, 74.218, 91.842),
    ];

    private static ModelDefinition Net(
        string name, string what, long parameters, long multiplyAdds, double? top1 = null, double? top5 = null) =>
        new(name, "VGG", ChannelGroups: 0, Options, $"VGG {what}: Simonyan and Zisserman 2014")
        {
            DividedChannels = name.EndsWith("_bn", StringComparison.Ordinal) || name.EndsWith("_lrn", StringComparison.Ordinal)
                ? []
                : [64, 128, 256, 512, 4096],
            DividedUnits = [4096],
            Units = int.Parse(name.AsSpan("vgg".Length, 2), CultureInfo.InvariantCulture), // its layers
            BatchNorm = name.EndsWith("_bn", StringComparison.Ordinal),
            Facts = new("Simonyan and Zisserman 2014, Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556",
                3, 224, 1000, parameters, multiplyAdds)
            {
                Top1 = top1,
                Top5 = top5,
                Source = top1 is null ? "" : "torchvision 0.14, IMAGENET1K_V1, one crop",
            },
        };
}
