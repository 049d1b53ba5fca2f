using System.Collections.Immutable;

namespace Cluster.Contracts.Catalog;

/// <summary>LeNet of 1998, AlexNet's variants and the four-layer net of its paper.</summary>
internal static class ClassicModels
{
    private const string HiddenUnits = "before or after a hidden fully connected layer";

    public static ImmutableArray<ModelDefinition> All { get; } =
    [
        new("lenet5_1998", "LeNet", ChannelGroups: 0,
        [
            SharedOptions.Classes,
            SharedOptions.Channels,
            OptionDefinition.FromData(ModelCatalog.InputSize, data => data.Height, "28 or 32", size => size is 28 or 32,
                "pixels a side; at 28 the first convolution pads by 2, at 32 by none"),
            SharedOptions.Init("uniform within 2.4/fan-in"),
        ], "LeNet-5 as published: C3 by Table I, trained subsampling, fixed output codes: LeCun et al. 1998, section II")
        {
            Units = 6,
            Facts = new("LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document recognition", 1, 32, 10,
                60_000, 325_680)
            {
                Source = "MNIST test error 0.95 % (paper)",
            },
        },

        new("alexnet_keras", "AlexNet", ChannelGroups: 0,
        [
            SharedOptions.Classes, SharedOptions.Channels, SharedOptions.FixedInputSize, SharedOptions.Width,
            SharedOptions.Dropout(0.5, HiddenUnits),
            SharedOptions.Init("uniform, within 0.05 in convolutions and Glorot's elsewhere"),
        ], "AlexNet in one tower without response normalisation, as a review lists it: after Krizhevsky et al. 2012")
        {
            Units = 8,
            Facts = new("Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional neural networks (a "
                + "Keras listing after it)",
                3, 224, 1000, 62_378_344, 1_021_480_064),
        },

        new("alexnet_owt", "AlexNet", ChannelGroups: 0,
        [
            SharedOptions.Classes, SharedOptions.Channels, SharedOptions.FixedInputSize, SharedOptions.Width,
            SharedOptions.Dropout(0.5, HiddenUnits),
            SharedOptions.Init("uniform within 1/√fan-in, as torchvision"),
        ], "AlexNet of 2014 in one tower, as torchvision: Krizhevsky 2014")
        {
            DividedChannels = [64, 192, 384, 256, 4096],
            DividedUnits = [4096],
            Units = 8,
            Facts = new("Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997", 3, 224, 1000,
                61_100_840, 714_188_480)
            {
                Top1 = 56.522, Top5 = 79.066, Source = "torchvision 0.14, IMAGENET1K_V1, one crop",
            },
        },

        new("fourlayer_cnn", "AlexNet", ChannelGroups: 0,
        [
            SharedOptions.Classes,
            SharedOptions.Channels,
            OptionDefinition.FromData(
                ModelCatalog.InputSize, data => data.Height, "28 to 64", size => size is >= 28 and <= 64, "pixels a side"),
            SharedOptions.Width,
            OptionDefinition.Word("activation", "relu", ["relu", "tanh", "sigmoid"], "non-linearity after each convolution"),
            SharedOptions.Init("normal, σ 0.0001 in the first layer and 0.01 in the others"),
        ], "three convolutions and a linear layer for CIFAR-10: Krizhevsky et al. 2012, figure 1")
        {
            Units = 4,
            Facts = new("Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional neural networks, Fig. 1", 3,
                32, 10, 89_578, 12_298_240)
            {
                Source = "CIFAR-10 training error 25 %, with ReLU six times sooner than with tanh (paper)",
            },
        },
    ];
}
