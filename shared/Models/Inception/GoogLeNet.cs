using Cluster.Models.Initialization;
using Cluster.Models.Layers;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.Inception;

/// <summary>
/// GoogLeNet: Szegedy et al. 2014, "Going deeper with convolutions", arXiv:1409.4842, §5, Table 1, Fig. 3; and torchvision's version of it.
/// </summary>
/// <remarks>
/// As in the paper: biases, no batch normalisation, local response normalisation after the first pooling and the third convolution (Fig.
/// 3), 5×5 convolutions, heads after 4a and 4d. As torchvision has it: batch normalisation in place of biases and LRN, 3×3 where the paper
/// has 5×5, the fourth pooling 2×2. Deviations: images of 28 to 64 pixels have a 3×3 first convolution (stride 1 below 48 pixels, else 2)
/// and none of the two poolings before 3a; a head pools any map that is not 14×14 adaptively to 4×4.
/// </remarks>
internal static class GoogLeNet
{
    /// <summary>
    /// Builds the paper's net from the options <c>inputSize channels classes width dropout lrn auxiliaryHeads auxiliaryWeight
    /// auxiliaryDropout init</c>.
    /// </summary>
    public static InceptionClassifier Create(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options);
        var style = new UnitStyle(CommonOptions.Width(options), Normalizes: false, Biased: true, dtype);
        var dropout = CommonOptions.Dropout(options, 0.4);
        var normalizes = options.Flag("lrn", true);
        var heads = HeadOptions.Read(options, drops: true);
        var paperInit = CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new InceptionClassifier(
            "googlenet", shape, Stages(style, shape, normalizes, large: 5, pool4: 3, heads, position), dropout, heads.Weight,
            paperInit ? Caffe : Distribution.He, position);
    }

    /// <summary>
    /// Builds torchvision's net from the options <c>inputSize channels classes width dropout auxiliaryHeads auxiliaryWeight
    /// auxiliaryDropout init</c>.
    /// </summary>
    public static InceptionClassifier CreateAsTorchvision(ModelOptions options, StepPosition position, ScalarType dtype)
    {
        var shape = CommonOptions.AnySize(options);
        var style = UnitStyle.Normalized(CommonOptions.Width(options), dtype);
        var dropout = CommonOptions.Dropout(options, 0.2);
        var heads = HeadOptions.Read(options, drops: true);
        var paperInit = CommonOptions.PaperInit(options);
        options.EnsureAllRead();
        return new InceptionClassifier(
            "googlenet_tv", shape, Stages(style, shape, normalizes: false, large: 3, pool4: 2, heads, position), dropout, heads.Weight,
            paperInit ? Torchvision : Distribution.He, position);
    }

    private static Stages Stages(
        UnitStyle style, ClassifierShape shape, bool normalizes, int large, int pool4, HeadOptions heads, StepPosition position)
    {
        var stages = new Stages(style, shape);
        stages.Conv("conv1", 64, stages.IsSmall ? 3 : 7, stages.FirstStride, stages.IsSmall ? 1 : 3); // N×64×112×112
        stages.KeepIfLarge("maxpool1", () => Pool(3));                                               // N×64×56×56
        if (normalizes)
            stages.Keep("norm1", LocalResponseNorm.AsInPaper());
        stages.Conv("conv2", 64, 1);                                                                 // N×64×56×56
        stages.Conv("conv3", 192, 3, padding: 1);                                                    // N×192×56×56
        if (normalizes)
            stages.Keep("norm2", LocalResponseNorm.AsInPaper());
        stages.KeepIfLarge("maxpool2", () => Pool(3));                                               // N×192×28×28
        stages.Block("inception3a", Block(64, 96, 128, 16, 32, 32));                                 // N×256×28×28
        stages.Block("inception3b", Block(128, 128, 192, 32, 96, 64));                               // N×480×28×28
        stages.Keep("maxpool3", Pool(3));                                                            // N×480×14×14
        stages.Block("inception4a", Block(192, 96, 208, 16, 48, 64));                                // N×512×14×14
        stages.Head("aux1", heads.Present, Head("aux1"));
        stages.Block("inception4b", Block(160, 112, 224, 24, 64, 64));                               // N×512×14×14
        stages.Block("inception4c", Block(128, 128, 256, 24, 64, 64));                               // N×512×14×14
        stages.Block("inception4d", Block(112, 144, 288, 32, 64, 64));                               // N×528×14×14
        stages.Head("aux2", heads.Present, Head("aux2"));
        stages.Block("inception4e", Block(256, 160, 320, 32, 128, 128));                             // N×832×14×14
        stages.Keep("maxpool4", Pool(pool4));                                                        // N×832×7×7
        stages.Block("inception5a", Block(256, 160, 320, 32, 128, 128));                             // N×832×7×7
        return stages.Block("inception5b", Block(384, 192, 384, 48, 128, 128));                      // N×1024×7×7

        Func<UnitStyle, int, Branches> Block(int direct, int reduced3, int filtered3, int reduced5, int filtered5, int pooled) =>
            (s, input) => new Branches(
                new Branch(s, input).Conv(direct, 1, name: "branch1"),
                new Branch(s, input, "branch2").Conv(reduced3, 1).Conv(filtered3, 3),
                new Branch(s, input, "branch3").Conv(reduced5, 1).Conv(filtered5, large),
                new Branch(s, input, "branch4").Pool(nn.MaxPool2d(3, 1, 1)).Conv(pooled, 1));

        Func<int, Layer> Head(string name) => input => AuxiliaryHead.OfGoogLeNet(name, input, Pooling(), heads, style, shape, position);

        Layer Pooling() => large == 5 ? HeadPool.OfGoogLeNet() : nn.AdaptiveAvgPool2d(4); // 14×14 → 4×4
    }

    private static Layer Pool(int kernel) => nn.MaxPool2d(kernel, 2, ceil_mode: true);

    /// <summary>
    /// The paper is silent; Caffe's reference, whose accuracy is the published one, draws within ±√(3/fan-in) and starts hidden biases at
    /// 0.2.
    /// </summary>
    private static Distribution Caffe(ParameterShard shard)
    {
        if (shard.GlobalShape.Count > 1)
            return new Distribution.Symmetric(Math.Sqrt(3.0 / Distribution.FanIn(shard)));
        return new Distribution.Constant(shard.Name is "fc.bias" or "aux1.fc2.bias" or "aux2.fc2.bias" ? 0 : 0.2);
    }

    /// <summary>σ 0.01 for all weights; torchvision draws biases as PyTorch does, here they are 0.</summary>
    private static Distribution Torchvision(ParameterShard shard) =>
        shard.GlobalShape.Count > 1 ? new Distribution.Gaussian(0.01) : Distribution.OneOrZero(shard);
}
