using System.Collections.Immutable;

namespace Cluster.Contracts.Catalog;

/// <summary>GoogLeNet and its successors.</summary>
internal static class InceptionModels
{
    private const string SingleCrop = "paper, one crop of non-blacklisted validation images";

    private const string Hes = "both: normal, variance 2/fan-in, as its authors' code";

    private static readonly ImmutableArray<OptionDefinition> Shape =
        [SharedOptions.Classes, SharedOptions.Channels, SharedOptions.AnyInputSize, SharedOptions.Width];

    private static readonly OptionDefinition Heads = OptionDefinition.Flag(
        "auxiliaryHeads", true, "classifiers on maps in the middle of the net, which only training has");

    private static readonly OptionDefinition HeadWeight = OptionDefinition.Number(
        "auxiliaryWeight", 0.3, "0 to 1", weight => weight is >= 0 and <= 1,
        "how much the loss of each auxiliary head adds; only with auxiliaryHeads true");

    private static readonly OptionDefinition HeadDropout = OptionDefinition.Number(
        "auxiliaryDropout", 0.7, "at least 0 and less than 1", dropout => dropout is >= 0 and < 1,
        "probability with which a hidden unit of an auxiliary head is dropped; only with auxiliaryHeads true");

    private static readonly OptionDefinition Residual = OptionDefinition.Flag(
        "residual", true, "add each residual block's input to its output");

    public static ImmutableArray<ModelDefinition> All { get; } =
    [
        new("googlenet", "Inception", ChannelGroups: 0,
        [
            .. Shape, LastDropout(0.4),
            OptionDefinition.Flag("lrn", true, "local response normalisation after the first pooling and the third convolution"),
            Heads, HeadWeight, HeadDropout, SharedOptions.Init("uniform within √(3/fan-in), hidden biases 0.2, as Caffe's reference"),
        ], "nine Inception modules and two auxiliary heads: Szegedy et al. 2014")
        {
            Facts = new("Szegedy et al. 2014, Going deeper with convolutions, arXiv:1409.4842", 3, 224, 1000, 6_998_552, 1_582_671_872)
            {
                AuxiliaryParameters = 6_379_728, Top1 = 68.7, Top5 = 88.9, Source = "BVLC Caffe's reference, one crop",
            },
        },

        new("googlenet_tv", "Inception", ChannelGroups: 0,
        [
            .. Shape, LastDropout(0.2), Heads, HeadWeight, HeadDropout, SharedOptions.Init("normal, σ 0.01, as torchvision"),
        ], "GoogLeNet as torchvision, with batch normalisation and 3×3 in place of 5×5: after Szegedy et al. 2014")
        {
            BatchNorm = true,
            Facts = new("Szegedy et al. 2014, Going deeper with convolutions, arXiv:1409.4842 (torchvision's version)", 3, 224, 1000,
                6_624_904, 1_498_376_192)
            {
                AuxiliaryParameters = 6_379_984, Top1 = 69.778, Top5 = 89.530, Source = "torchvision 0.14, IMAGENET1K_V1, one crop",
            },
        },

        new("inception_v2", "Inception", ChannelGroups: 0,
        [
            .. Shape, LastDropout(0),
            OptionDefinition.Word(
                "firstConvolution", "dense", ["dense", "separable"], "separable is the paper's: depthwise with multiplier 8, then 1×1"),
            OptionDefinition.Flag("redundantBiases", false, "biases in convolutions although batch normalisation follows"),
            Init(Hes),
        ], "GoogLeNet with batch normalisation and two 3×3 for the 5×5: Ioffe and Szegedy 2015")
        {
            BatchNorm = true,
            Facts = new("Ioffe and Szegedy 2015, Batch normalization: accelerating deep network training by reducing internal covariate "
                + "shift, arXiv:1502.03167",
                3, 224, 1000, 11_285_224, 2_032_600_064)
            {
                Top1 = 74.8, Top5 = 92.2, Source = "paper, one crop",
            },
        },

        new("inception_v3", "Inception", ChannelGroups: 0,
        [
            .. Shape, LastDropout(0.5),
            OptionDefinition.Word("gridReduction", "parallel", ["parallel", "poolFirst", "inceptionFirst"],
                "how the two reductions halve the map: convolutions beside a pool, the pool before the block, or after it"),
            Heads, HeadWeight, SharedOptions.Init("normal, σ 0.1, as torchvision"),
        ], "factorised convolutions and parallel grid reduction, as torchvision: Szegedy et al. 2015")
        {
            BatchNorm = true,
            Facts = new("Szegedy et al. 2015, Rethinking the Inception architecture for computer vision, arXiv:1512.00567", 3, 299, 1000,
                23_834_568, 5_713_216_096)
            {
                AuxiliaryParameters = 3_326_696, Top1 = 77.294, Top5 = 93.450, Source = "torchvision 0.14, IMAGENET1K_V1, one crop",
            },
        },

        Of2016("inception_v4", [.. Shape, LastDropout(0.2), Init(Hes)], "wider and more uniform Inception blocks", 42_679_816,
            12_253_974_624, 80.0, 95.0),

        Of2016("inception_resnet_v1",
        [
            .. Shape, LastDropout(0.2), Residual,
            OptionDefinition.Word("variant", "paper", ["paper", "sixBlocks", "features512"],
                "paper: 5, 10 and 5 blocks; sixBlocks: one more, linear; features512: that, and 512 features before the last layer"),
            Init(Hes),
        ], "Inception blocks within residual ones", 22_756_328, 6_206_361_696, 78.7, 94.5),

        Of2016("inception_resnet_v2",
        [
            .. Shape, LastDropout(0.2), Residual,
            OptionDefinition.Word("variant", "slim", ["slim", "paper"],
                "slim: its authors' code, a plain stem and 10, 20 and 10 blocks; paper: v4's stem and 5, 10 and 5 blocks"),
            Init(Hes),
        ], "wider Inception blocks within residual ones", 55_843_464, 13_155_794_016, 80.1, 95.1),
    ];

    private static ModelDefinition Of2016(
        string name, ImmutableArray<OptionDefinition> options, string what, long parameters, long multiplyAdds, double top1, double top5) =>
        new(name, "Inception", ChannelGroups: 0, options, $"{what}: Szegedy et al. 2016")
        {
            BatchNorm = true,
            Facts =
                new("Szegedy, Ioffe, Vanhoucke and Alemi 2016, Inception-v4, Inception-ResNet and the impact of residual connections on "
                    + "learning, arXiv:1602.07261",
                    3, 299, 1000, parameters, multiplyAdds)
                {
                    Top1 = top1,
                    Top5 = top5,
                    Source = SingleCrop,
                },
        };

    private static OptionDefinition LastDropout(double byDefault) => SharedOptions.Dropout(byDefault, "before the last layer");

    private static OptionDefinition Init(string meaning) => OptionDefinition.Word("init", "paper", ["paper", "he"], meaning);
}
