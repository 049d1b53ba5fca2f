using Cluster.Models.Initialization;
using static Cluster.Models.Inception.InceptionV4Blocks;
using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>
/// Inception-ResNet v1 and v2: Szegedy, Ioffe, Vanhoucke and Alemi 2016, arXiv:1602.07261, §3.2 and §3.3, Figs. 3, 7, 10 to 20, Table 1.
/// </summary>
/// <remarks>
/// v1 is the paper's net; its variants are those of common ports: a sixth C block, linear and unscaled, and after that 512 features in
/// front of the last layer. v2 is its authors' code: plain stem, Mixed_5b, 10, 20 and 10 blocks, the last of them linear and unscaled, 1536
/// features by a 1×1; its variant <c>paper</c> is Fig. 15 with v4's stem and 5, 10 and 5 blocks, whose printed 1154 channels do not follow
/// from its branches: 1152 do, and are built. Residuals are scaled by 0.17, 0.10 and 0.20 as in that code. Deviations: as for
/// <see cref="InceptionV4"/>.
/// </remarks>
internal static class InceptionResNet
{
    private const double ScaleA = 0.17, ScaleB = 0.10, ScaleC = 0.20;

    /// <summary>Builds v1 from the options <c>inputSize channels classes width dropout residual variant init</c>.</summary>
    public static InceptionClassifier CreateV1(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var variant = options.Choice("variant", "paper", "sixBlocks", "features512");
        return Create("inception_resnet_v1", options, position, dtype, (stages, adds) => V1(stages, adds, variant));
    }

    /// <summary>Builds v2 from the options <c>inputSize channels classes width dropout residual variant init</c>.</summary>
    public static InceptionClassifier CreateV2(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var paper = options.Choice("variant", "slim", "paper") == "paper";
        return Create(
            "inception_resnet_v2", options, position, dtype, (stages, adds) => paper ? V2OfPaper(stages, adds) : V2(stages, adds));
    }

    private static InceptionClassifier Create(
        string name, ModelOptions options, StepPosition position, ScalarType dtype, Func<Stages, bool, Stages> build)
    {
        var shape = CommonOptions.AnySize(options, published: 299);
        var style = UnitStyle.Normalized(CommonOptions.Width(options), dtype);
        var dropout = CommonOptions.Dropout(options, 0.2);
        var adds = options.Flag("residual", true);
        CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        // The paper is silent; its authors' code draws as He et al. do, so that init paper and init he name the same.
        return new InceptionClassifier(
            name, shape, build(new Stages(style, shape), adds), dropout, auxiliaryWeight: 0, Distribution.He, position);
    }

    private static Stages V1(Stages stages, bool adds, string variant)
    {
        PlainStem(stages)                                                                       // N×192×71×71
            .StemConv("Conv2d_4b_3x3", 256, stride: 2)                                          // N×256×35×35
            .Residual("repeat_a", 5, ResidualA(32, 32), new ResidualForm(adds, ScaleA, true))   // N×256×35×35
            .Block("Mixed_6a", ReductionA(k: 192, l: 192, m: 256, n: 384))                      // N×896×17×17
            .Residual("repeat_b", 10, ResidualB(128, 128, 128), new ResidualForm(adds, ScaleB, true))
            .Block("Mixed_7a", ResidualReductionB(256, 256, 256))                               // N×1792×8×8
            .Residual("repeat_c", 5, ResidualC(192, 192), new ResidualForm(adds, ScaleC, true)); // N×1792×8×8
        if (variant != "paper")
            stages.Residual("block_c6", 1, ResidualC(192, 192), new ResidualForm(adds, Scale: 1, Rectifies: false));
        if (variant == "features512")
            // N×512×1×1
            stages.Add(
                "features", new PooledFeatures(stages.Channels, stages.Style.Scaled(512), stages.Style.Dtype), stages.Style.Scaled(512));
        return stages;
    }

    private static Stages V2(Stages stages, bool adds) => PlainStem(stages)                     // N×192×71×71
        .KeepIfLarge("maxpool2", () => nn.MaxPool2d(3, 2))                                      // N×192×35×35
        .Block("Mixed_5b", (s, input) => new Branches(                                          // N×320×35×35
            new Branch(s, input, "branch0").Conv(96, 1),
            new Branch(s, input, "branch1").Conv(48, 1).Conv(64, 5),
            new Branch(s, input, "branch2").Conv(64, 1).Conv(96, 3).Conv(96, 3),
            new Branch(s, input, "branch3").Pool(nn.AvgPool2d(3, 1, 1, count_include_pad: false)).Conv(64, 1)))
        .Residual("repeat_a", 10, ResidualA(48, 64), new ResidualForm(adds, ScaleA, true))      // N×320×35×35
        .Block("Mixed_6a", ReductionA(k: 256, l: 256, m: 384, n: 384))                          // N×1088×17×17
        .Residual("repeat_b", 20, ResidualB(192, 160, 192), new ResidualForm(adds, ScaleB, true)) // N×1088×17×17
        .Block("Mixed_7a", ResidualReductionB(288, 288, 320))                                   // N×2080×8×8
        .Residual("repeat_c", 9, ResidualC(224, 256), new ResidualForm(adds, ScaleC, true))     // N×2080×8×8
        .Residual("block_c10", 1, ResidualC(224, 256), new ResidualForm(adds, Scale: 1, Rectifies: false))
        .Conv("Conv2d_7b_1x1", 1536, 1);                                                        // N×1536×8×8

    private static Stages V2OfPaper(Stages stages, bool adds) => Figure3(stages                 // N×384×35×35
            .FirstConv("Conv2d_1a_3x3", 32)
            .StemConv("Conv2d_2a_3x3", 32)
            .StemConv("Conv2d_2b_3x3", 64, valid: false))
        .Residual("repeat_a", 5, ResidualA(48, 64), new ResidualForm(adds, ScaleA, true))       // N×384×35×35
        .Block("Mixed_6a", ReductionA(k: 256, l: 256, m: 384, n: 384))                          // N×1152×17×17
        .Residual("repeat_b", 10, ResidualB(192, 160, 192), new ResidualForm(adds, ScaleB, true)) // N×1152×17×17
        .Block("Mixed_7a", ResidualReductionB(288, 288, 320))                                   // N×2144×8×8
        .Residual("repeat_c", 5, ResidualC(224, 256), new ResidualForm(adds, ScaleC, true));    // N×2144×8×8

    /// <summary>Fig. 14 but for its last convolution.</summary>
    private static Stages PlainStem(Stages stages) => stages
        .FirstConv("Conv2d_1a_3x3", 32)                       // N×32×149×149
        .StemConv("Conv2d_2a_3x3", 32)                        // N×32×147×147
        .StemConv("Conv2d_2b_3x3", 64, valid: false)          // N×64×147×147
        .KeepIfLarge("maxpool1", () => nn.MaxPool2d(3, 2))    // N×64×73×73
        .Conv("Conv2d_3b_1x1", 80, 1)                         // N×80×73×73
        .StemConv("Conv2d_4a_3x3", 192);                      // N×192×71×71
}
