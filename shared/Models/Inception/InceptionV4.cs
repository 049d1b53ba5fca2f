using Cluster.Models.Initialization;
using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>
/// Inception v4: Szegedy, Ioffe, Vanhoucke and Alemi 2016, "Inception-v4, Inception-ResNet and the impact of residual connections on
/// learning", arXiv:1602.07261, §3.1, Figs. 3 to 9.
/// </summary>
/// <remarks>
/// Deviations: pooled averages leave padding out, as in its authors' code; images of 28 to 64 pixels have a stem that keeps their size but
/// for the first convolution (stride 1 below 48 pixels, else 2).
/// </remarks>
internal static class InceptionV4
{
    /// <summary>Builds the net from the options <c>inputSize channels classes width dropout init</c>.</summary>
    public static InceptionClassifier Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options, published: 299);
        var style = UnitStyle.Normalized(CommonOptions.Width(options), dtype);
        var dropout = CommonOptions.Dropout(options, 0.2);
        CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        // The paper is silent; its authors' code draws as He et al. do, so that init paper and init he name the same.
        return new InceptionClassifier("inception_v4", shape, Stages(style, shape), dropout, auxiliaryWeight: 0, Distribution.He, position);
    }

    private static Stages Stages(UnitStyle style, ClassifierShape shape)
    {
        var stages = new Stages(style, shape)
            .FirstConv("Conv2d_1a_3x3", 32)                      // N×32×149×149
            .StemConv("Conv2d_2a_3x3", 32)                       // N×32×147×147
            .StemConv("Conv2d_2b_3x3", 64, valid: false);        // N×64×147×147
        InceptionV4Blocks.Figure3(stages);                       // N×384×35×35
        foreach (var name in (string[])["Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_5e"])
            stages.Block(name, BlockA);                          // N×384×35×35
        stages.Block("Mixed_6a", InceptionV4Blocks.ReductionA(k: 192, l: 224, m: 256, n: 384)); // N×1024×17×17
        foreach (var name in (string[])["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_6f", "Mixed_6g", "Mixed_6h"])
            stages.Block(name, BlockB);                          // N×1024×17×17
        stages.Block("Mixed_7a", ReductionB);                    // N×1536×8×8
        foreach (var name in (string[])["Mixed_7b", "Mixed_7c", "Mixed_7d"])
            stages.Block(name, BlockC);                          // N×1536×8×8
        return stages;
    }

    /// <summary>Fig. 4.</summary>
    private static Branches BlockA(UnitStyle s, int input) => new(
        new Branch(s, input, "branch0").Conv(96, 1),
        new Branch(s, input, "branch1").Conv(64, 1).Conv(96, 3),
        new Branch(s, input, "branch2").Conv(64, 1).Conv(96, 3).Conv(96, 3),
        new Branch(s, input, "branch3").Pool(nn.AvgPool2d(3, 1, 1, count_include_pad: false)).Conv(96, 1));

    /// <summary>Fig. 5.</summary>
    private static Branches BlockB(UnitStyle s, int input) => new(
        new Branch(s, input, "branch0").Conv(384, 1),
        new Branch(s, input, "branch1").Conv(192, 1).Conv(224, (1, 7)).Conv(256, (7, 1)),
        new Branch(s, input, "branch2").Conv(192, 1).Conv(192, (1, 7)).Conv(224, (7, 1)).Conv(224, (1, 7)).Conv(256, (7, 1)),
        new Branch(s, input, "branch3").Pool(nn.AvgPool2d(3, 1, 1, count_include_pad: false)).Conv(128, 1));

    /// <summary>Fig. 8.</summary>
    private static Branches ReductionB(UnitStyle s, int input) => new(
        new Branch(s, input, "branch0").Conv(192, 1).Conv(192, 3, 2, valid: true),
        new Branch(s, input, "branch1").Conv(256, 1).Conv(256, (1, 7)).Conv(320, (7, 1)).Conv(320, 3, 2, valid: true),
        new Branch(s, input, "branch2").Pool(nn.MaxPool2d(3, 2)));

    /// <summary>Fig. 6.</summary>
    private static Branches BlockC(UnitStyle s, int input) => new(
        new Branch(s, input, "branch0").Conv(256, 1),
        new Branch(s, input, "branch1").Conv(384, 1).Fork(256, "branch1_wide", "branch1_high"),
        new Branch(s, input, "branch2").Conv(384, 1).Conv(448, (1, 3)).Conv(512, (3, 1)).Fork(256, "branch2_wide", "branch2_high"),
        new Branch(s, input, "branch3").Pool(nn.AvgPool2d(3, 1, 1, count_include_pad: false)).Conv(256, 1));
}
