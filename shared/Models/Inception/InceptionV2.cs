using Cluster.Models.Initialization;
using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>
/// Inception v2, or BN-Inception: Ioffe and Szegedy 2015, "Batch normalization", arXiv:1502.03167, §4.2 and the appendix's Fig. 5.
/// </summary>
/// <remarks>
/// GoogLeNet with batch normalisation, two 3×3 for the 5×5, and 3c and 4e that halve the map: stride 2 and a pool without projection. Fig.
/// 5 prints 576, 576 and 1024 channels after 4c, 4d and 4e, where its branches add up to 608, 608 and 1056, which are built. Options give
/// the paper's separable first convolution and the biases that normalisation makes redundant. Deviations: images of 28 to 64 pixels have a
/// 3×3 first convolution (stride 1 below 48 pixels, else 2) and none of the two poolings before 3a.
/// </remarks>
internal static class InceptionV2
{
    private const int DepthMultiplier = 8;

    /// <summary>
    /// Builds the net from the options <c>inputSize channels classes width dropout firstConvolution redundantBiases init</c>.
    /// </summary>
    public static InceptionClassifier Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options);
        var width = CommonOptions.Width(options);
        var dropout = CommonOptions.Dropout(options, 0);
        var separable = options.Choice("firstConvolution", "dense", "separable") == "separable";
        var style = new UnitStyle(width, Normalizes: true, Biased: options.Flag("redundantBiases", false), dtype);
        CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        // The paper is silent; its authors' code draws as He et al. do, so that init paper and init he name the same.
        return new InceptionClassifier(
            "inception_v2", shape, Stages(style, shape, separable), dropout, auxiliaryWeight: 0, Distribution.He, position);
    }

    private static Stages Stages(UnitStyle style, ClassifierShape shape, bool separable)
    {
        var stages = new Stages(style, shape);
        var kernel = stages.IsSmall ? 3 : 7;
        if (separable)
            stages.Add("conv1", ConvUnit.Separable(shape.Channels, style.Scaled(64), kernel, stages.FirstStride, DepthMultiplier, style),
                style.Scaled(64));
        else
            stages.Conv("conv1", 64, kernel, stages.FirstStride, kernel / 2);     // N×64×112×112
        return stages
            .KeepIfLarge("maxpool1", () => nn.MaxPool2d(3, 2, 1))                 // N×64×56×56
            .Conv("conv2", 64, 1)                                                 // N×64×56×56
            .Conv("conv3", 192, 3, padding: 1)                                    // N×192×56×56
            .KeepIfLarge("maxpool2", () => nn.MaxPool2d(3, 2, 1))                 // N×192×28×28
            .Block("inception3a", Block(64, 64, 64, 64, 96, 32))                  // N×256×28×28
            .Block("inception3b", Block(64, 64, 96, 64, 96, 64))                  // N×320×28×28
            .Block("inception3c", Halving(128, 160, 64, 96))                      // N×576×14×14
            .Block("inception4a", Block(224, 64, 96, 96, 128, 128))               // N×576×14×14
            .Block("inception4b", Block(192, 96, 128, 96, 128, 128))              // N×576×14×14
            .Block("inception4c", Block(160, 128, 160, 128, 160, 128))            // N×608×14×14
            .Block("inception4d", Block(96, 128, 192, 160, 192, 128))             // N×608×14×14
            .Block("inception4e", Halving(128, 192, 192, 256))                    // N×1056×7×7
            .Block("inception5a", Block(352, 192, 320, 160, 224, 128))            // N×1024×7×7
            .Block("inception5b", Block(352, 192, 320, 192, 224, 128, max: true)); // N×1024×7×7
    }

    private static Func<UnitStyle, int, Branches> Block(
        int direct, int reduced, int filtered, int reducedTwice, int filteredTwice, int pooled, bool max = false) =>
        (s, input) => new Branches(
            new Branch(s, input).Conv(direct, 1, name: "branch1"),
            new Branch(s, input, "branch2").Conv(reduced, 1).Conv(filtered, 3),
            new Branch(s, input, "branch3").Conv(reducedTwice, 1).Conv(filteredTwice, 3).Conv(filteredTwice, 3),
            new Branch(s, input, "branch4").Pool(max ? nn.MaxPool2d(3, 1, 1) : nn.AvgPool2d(3, 1, 1)).Conv(pooled, 1));

    private static Func<UnitStyle, int, Branches> Halving(int reduced, int filtered, int reducedTwice, int filteredTwice) =>
        (s, input) => new Branches(
            new Branch(s, input, "branch2").Conv(reduced, 1).Conv(filtered, 3, stride: 2),
            new Branch(s, input, "branch3").Conv(reducedTwice, 1).Conv(filteredTwice, 3).Conv(filteredTwice, 3, stride: 2),
            new Branch(s, input, "branch4").Pool(nn.MaxPool2d(3, 2, 1)));
}
