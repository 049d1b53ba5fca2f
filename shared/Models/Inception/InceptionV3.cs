using Cluster.Models.Initialization;
using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>
/// Inception v3: Szegedy et al. 2015, "Rethinking the Inception architecture for computer vision", arXiv:1512.00567, §6, Table 1, Figs. 5
/// to 10.
/// </summary>
/// <remarks>
/// State-dict names and numerics are torchvision's, which keeps a real 5×5 in Mixed_5b to 5d where Fig. 5 has two 3×3 (it has a tower of
/// these beside). The option <c>gridReduction</c> builds Mixed_6a and 7a as the paper compares them (§5, Figs. 9 and 10): convolutions and
/// pool in parallel, or the same block at stride 1 after the pool or before it. Deviations: images of 28 to 64 pixels have a stem that
/// keeps their size but for the first convolution (stride 1 below 48 pixels, else 2); the head pools maps of less than 17×17 adaptively.
/// </remarks>
internal static class InceptionV3
{
    /// <summary>
    /// Builds the net from the options <c>inputSize channels classes width dropout gridReduction auxiliaryHeads auxiliaryWeight init</c>.
    /// </summary>
    public static InceptionClassifier Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options, published: 299);
        var style = UnitStyle.Normalized(CommonOptions.Width(options), dtype);
        var dropout = CommonOptions.Dropout(options, 0.5);
        var order = options.Choice("gridReduction", "parallel", "poolFirst", "inceptionFirst") switch
        {
            "parallel" => GridReduction.Parallel,
            "poolFirst" => GridReduction.PoolFirst,
            _ => GridReduction.InceptionFirst,
        };
        var heads = HeadOptions.Read(options, drops: false);
        var paperInit = CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new InceptionClassifier(
            "inception_v3", shape, Stages(style, shape, order, heads), dropout, heads.Weight, paperInit ? Torchvision : Distribution.He,
            position);
    }

    private static Stages Stages(UnitStyle style, ClassifierShape shape, GridReduction order, HeadOptions heads) => new Stages(style, shape)
        .FirstConv("Conv2d_1a_3x3", 32)                                        // N×32×149×149
        .StemConv("Conv2d_2a_3x3", 32)                                         // N×32×147×147
        .StemConv("Conv2d_2b_3x3", 64, valid: false)                           // N×64×147×147
        .KeepIfLarge("maxpool1", () => nn.MaxPool2d(3, 2))                     // N×64×73×73
        .Conv("Conv2d_3b_1x1", 80, 1)                                          // N×80×73×73
        .StemConv("Conv2d_4a_3x3", 192)                                        // N×192×71×71
        .KeepIfLarge("maxpool2", () => nn.MaxPool2d(3, 2))                     // N×192×35×35
        .Block("Mixed_5b", Figure5(pooled: 32))                                // N×256×35×35
        .Block("Mixed_5c", Figure5(pooled: 64))                                // N×288×35×35
        .Block("Mixed_5d", Figure5(pooled: 64))                                // N×288×35×35
        .Block("Mixed_6a", FirstReduction(order))                              // N×768×17×17
        .Block("Mixed_6b", Figure6(128))                                       // N×768×17×17
        .Block("Mixed_6c", Figure6(160))                                       // N×768×17×17
        .Block("Mixed_6d", Figure6(160))                                       // N×768×17×17
        .Block("Mixed_6e", Figure6(192))                                       // N×768×17×17
        .Head("AuxLogits", heads.Present, input => AuxiliaryHead.OfV3(input, style, shape))
        .Block("Mixed_7a", SecondReduction(order))                             // N×1280×8×8
        .Block("Mixed_7b", Figure7)                                            // N×2048×8×8
        .Block("Mixed_7c", Figure7);                                           // N×2048×8×8

    private static Func<UnitStyle, int, Branches> Figure5(int pooled) => (s, input) => new Branches(
        new Branch(s, input).Conv(64, 1, name: "branch1x1"),
        new Branch(s, input).Conv(48, 1, name: "branch5x5_1").Conv(64, 5, name: "branch5x5_2"),
        new Branch(s, input).Conv(64, 1, name: "branch3x3dbl_1").Conv(96, 3, name: "branch3x3dbl_2").Conv(96, 3, name: "branch3x3dbl_3"),
        new Branch(s, input).Pool(nn.AvgPool2d(3, 1, 1)).Conv(pooled, 1, name: "branch_pool"));

    private static Func<UnitStyle, int, Branches> Figure6(int seven) => (s, input) => new Branches(
        new Branch(s, input).Conv(192, 1, name: "branch1x1"),
        new Branch(s, input).Conv(seven, 1, name: "branch7x7_1").Conv(seven, (1, 7), "branch7x7_2").Conv(192, (7, 1), "branch7x7_3"),
        new Branch(s, input).Conv(seven, 1, name: "branch7x7dbl_1").Conv(seven, (7, 1), "branch7x7dbl_2")
            .Conv(seven, (1, 7), "branch7x7dbl_3").Conv(seven, (7, 1), "branch7x7dbl_4").Conv(192, (1, 7), "branch7x7dbl_5"),
        new Branch(s, input).Pool(nn.AvgPool2d(3, 1, 1)).Conv(192, 1, name: "branch_pool"));

    private static Branches Figure7(UnitStyle s, int input) => new(
        new Branch(s, input).Conv(320, 1, name: "branch1x1"),
        new Branch(s, input).Conv(384, 1, name: "branch3x3_1").Fork(384, "branch3x3_2a", "branch3x3_2b"),
        new Branch(s, input).Conv(448, 1, name: "branch3x3dbl_1").Conv(384, 3, name: "branch3x3dbl_2")
            .Fork(384, "branch3x3dbl_3a", "branch3x3dbl_3b"),
        new Branch(s, input).Pool(nn.AvgPool2d(3, 1, 1)).Conv(192, 1, name: "branch_pool"));

    private static Func<UnitStyle, int, Branches> FirstReduction(GridReduction order) => (s, input) => Reduction(
        order,
        new Branch(s, input).Conv(384, 3, Stride(order), Valid(order), "branch3x3"),
        new Branch(s, input).Conv(64, 1, name: "branch3x3dbl_1").Conv(96, 3, name: "branch3x3dbl_2")
            .Conv(96, 3, Stride(order), Valid(order), "branch3x3dbl_3"),
        new Branch(s, input));

    private static Func<UnitStyle, int, Branches> SecondReduction(GridReduction order) => (s, input) => Reduction(
        order,
        new Branch(s, input).Conv(192, 1, name: "branch3x3_1").Conv(320, 3, Stride(order), Valid(order), "branch3x3_2"),
        new Branch(s, input).Conv(192, 1, name: "branch7x7x3_1").Conv(192, (1, 7), "branch7x7x3_2").Conv(192, (7, 1), "branch7x7x3_3")
            .Conv(192, 3, Stride(order), Valid(order), "branch7x7x3_4"),
        new Branch(s, input));

    /// <summary>The last branch is the one without convolutions: the pool where all are parallel, else what the others see.</summary>
    private static Branches Reduction(GridReduction order, params Branch[] branches)
    {
        if (order == GridReduction.Parallel)
            branches[^1].Pool(nn.MaxPool2d(3, 2));
        return new Branches(
            branches,
            before: order == GridReduction.PoolFirst ? nn.MaxPool2d(3, 2) : null,
            after: order == GridReduction.InceptionFirst ? nn.MaxPool2d(3, 2) : null);
    }

    private static int Stride(GridReduction order) => order == GridReduction.Parallel ? 2 : 1;

    private static bool Valid(GridReduction order) => order == GridReduction.Parallel;

    /// <summary>torchvision's: σ 0.1, and less in the head's last two layers; cut off at ±2, which leaves them as good as normal.</summary>
    private static Distribution Torchvision(ParameterShard shard) =>
        shard.GlobalShape.Count == 1 ? Distribution.OneOrZero(shard) : shard.Name switch
        {
            "AuxLogits.conv1.conv.weight" => new Distribution.Gaussian(0.01),
            "AuxLogits.fc.weight" => new Distribution.Gaussian(0.001),
            _ => new Distribution.Gaussian(0.1),
        };
}

/// <summary>How a grid is halved: Szegedy et al. 2015, arXiv:1512.00567, §5.</summary>
internal enum GridReduction
{
    /// <summary>Convolutions of stride 2 beside a pool: Fig. 10.</summary>
    Parallel,

    /// <summary>Pool, then the block: cheap, and a bottleneck (Fig. 9 left).</summary>
    PoolFirst,

    /// <summary>The block at full size, then the pool: three times the cost (Fig. 9 right).</summary>
    InceptionFirst,
}
