using System.Collections.Immutable;

namespace Cluster.Contracts.Catalog;

/// <summary>MobileNet and its successor.</summary>
internal static class MobileNetModels
{
    public static ImmutableArray<ModelDefinition> All { get; } =
    [
        new("mobilenet_v1", "MobileNet", ChannelGroups: 0,
        [
            SharedOptions.Classes, SharedOptions.Channels, SharedOptions.AnyInputSize, SharedOptions.WidthMultiplier,
            OptionDefinition.Word("activation", "relu", ["relu", "relu6"], "non-linearity after each convolution; relu is the paper's"),
            SharedOptions.Init("normal, σ 0.09, as its authors' code"),
        ], "depthwise separable convolutions; inputSize/224 is the resolution multiplier: Howard et al. 2017")
        {
            Units = 15,
            BatchNorm = true,
            Facts = new(
                "Howard et al. 2017, MobileNets: efficient convolutional neural networks for mobile vision applications, arXiv:1704.04861",
                3, 224, 1000, 4_231_976, 568_740_352)
            {
                Top1 = 70.6, Source = "paper, Table 4",
            },
        },

        new("mobilenet_v2", "MobileNet", ChannelGroups: 0,
        [
            SharedOptions.Classes, SharedOptions.Channels, SharedOptions.AnyInputSize, SharedOptions.WidthMultiplier,
            SharedOptions.Dropout(0.2, "before the last layer"),
            OptionDefinition.Word(
                "bottleneckActivation", "linear", ["linear", "relu6"], "after each block's projection; linear is the paper's"),
            SharedOptions.Init("normal, variance 2/fan-out, as torchvision"),
        ], "inverted residuals and linear bottlenecks: Sandler et al. 2018")
        {
            Units = 20,
            BatchNorm = true,
            Facts = new("Sandler et al. 2018, MobileNetV2: inverted residuals and linear bottlenecks, arXiv:1801.04381", 3, 224, 1000,
                3_504_872, 300_774_272)
            {
                Top1 = 71.878, Top5 = 90.286, Source = "torchvision 0.14, IMAGENET1K_V1, one crop",
            },
        },
    ];
}
