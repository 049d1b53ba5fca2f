using System.Collections.Frozen;
using Cluster.Models.AlexNet;
using Cluster.Models.Inception;
using Cluster.Models.LeNet;
using Cluster.Models.MobileNet;
using Cluster.Models.ResNet;
using Cluster.Models.Vgg;
using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>Models by name: the one way from a job's words to a network.</summary>
public static class ModelRegistry
{
    private static readonly FrozenDictionary<string, Family> Families = new Dictionary<string, Family>(StringComparer.Ordinal)
    {
        ["lenet5"] = new(LeNet5.Create),
        ["alexnet"] = new(AlexNet.AlexNet.Create, AlexNet.AlexNet.CreatePart, NetworkSplits.Channels),
        ["lenet5_1998"] = new(LeNet5Of1998.Create),
        ["alexnet_keras"] = new(AlexNetKeras.Create),
        ["alexnet_owt"] = Divisible(AlexNetOneWeirdTrick.Create, NetworkSplits.Channels | NetworkSplits.FullyConnected),
        ["fourlayer_cnn"] = new(FourLayerCnn.Create),
        ["vgg11"] = Vgg(VggNet.Vgg11),
        ["vgg11_bn"] = Vgg(VggNet.Vgg11Bn),
        ["vgg11_lrn"] = Vgg(VggNet.Vgg11Lrn),
        ["vgg13"] = Vgg(VggNet.Vgg13),
        ["vgg13_bn"] = Vgg(VggNet.Vgg13Bn),
        ["vgg16"] = Vgg(VggNet.Vgg16),
        ["vgg16_bn"] = Vgg(VggNet.Vgg16Bn),
        ["vgg16_c"] = Vgg(VggNet.Vgg16C),
        ["vgg19"] = Vgg(VggNet.Vgg19),
        ["vgg19_bn"] = Vgg(VggNet.Vgg19Bn),
        ["googlenet"] = new(GoogLeNet.Create),
        ["googlenet_tv"] = new(GoogLeNet.CreateAsTorchvision),
        ["inception_v2"] = new(InceptionV2.Create),
        ["inception_v3"] = new(InceptionV3.Create),
        ["inception_v4"] = new(InceptionV4.Create),
        ["inception_resnet_v1"] = new(InceptionResNet.CreateV1),
        ["inception_resnet_v2"] = new(InceptionResNet.CreateV2),
        ["resnet18"] = ResNet(ResNetDepth.ResNet18),
        ["resnet34"] = ResNet(ResNetDepth.ResNet34),
        ["resnet50"] = ResNet(ResNetDepth.ResNet50),
        ["resnet101"] = ResNet(ResNetDepth.ResNet101),
        ["resnet152"] = ResNet(ResNetDepth.ResNet152),
        ["mobilenet_v1"] = new(MobileNetV1.Create),
        ["mobilenet_v2"] = new(MobileNetV2.Create),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private delegate ImageClassifier Builder(ModelOptions options, StepPosition position, ScalarType dtype);

    private delegate ImageClassifier PartBuilder(ModelOptions options, ChannelSplit split, StepPosition position, ScalarType dtype);

    /// <summary>Every name that <see cref="Create"/> takes, in order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Families.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The ways in which <see cref="CreatePart"/> can build a part of this model.</summary>
    public static NetworkSplits SplitsOf(string name) => Find(name).Splits;

    /// <summary>
    /// Whether it trains faster on CPUs when a pixel's channels lie together: by measurement, or as its nearest kin that was measured.
    /// </summary>
    public static bool PrefersChannelsLast(string name) => Find(name).PrefersChannelsLast;

    /// <summary>A whole network with its initial parameters, in the CPU's memory and in training mode.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">Booleans, integers, doubles and strings by option name.</param>
    /// <param name="seed">Decides the initial parameters and later the dropped units.</param>
    /// <param name="dtype">Float32 or float64.</param>
    /// <exception cref="ModelOptionException">The name or an option is unknown or out of range.</exception>
    public static ImageClassifier Create(
        string name, IReadOnlyDictionary<string, object> options, ulong seed, ScalarType dtype = ScalarType.Float32) =>
        Find(name).Create(new ModelOptions(name, options), new StepPosition(seed), dtype);

    /// <summary>
    /// As <see cref="Create"/>, for parameters and buffers that are loaded afterwards: those of the net are not drawn and must not be used.
    /// </summary>
    public static ImageClassifier CreateToLoad(
        string name, IReadOnlyDictionary<string, object> options, ScalarType dtype = ScalarType.Float32) =>
        Find(name).Create(new ModelOptions(name, options), new StepPosition(0) { ParametersFollow = true }, dtype);

    /// <summary>One part of a network that is divided over several devices.</summary>
    /// <exception cref="ModelOptionException">As <see cref="Create"/>; also when the model has no such split.</exception>
    public static ImageClassifier CreatePart(
        string name, IReadOnlyDictionary<string, object> options, ulong seed, ChannelSplit split, ScalarType dtype = ScalarType.Float32)
    {
        var (kind, word) = split.DividesConvolutions ? (NetworkSplits.Channels, "model") : (NetworkSplits.FullyConnected, "hybrid");
        var family = Find(name);
        if (!family.Splits.HasFlag(kind))
        {
            throw new ModelOptionException(
                $"model.name is {name}, which has no split by {word}; choose parallelism data, or one of: "
                    + $"{string.Join(", ", Names.Where(other => SplitsOf(other).HasFlag(kind)))}");
        }

        return family.CreatePart!(new ModelOptions(name, options), split, new StepPosition(seed), dtype);
    }

    /// <summary>
    /// Normalisation over the batch keeps statistics a channel, which checkpoints take for whole; that over channels looks across the
    /// parts.
    /// </summary>
    private static Family Vgg(VggNet net)
    {
        var splits = net.BatchNorm || net.LocalResponseNorm
            ? NetworkSplits.FullyConnected
            : NetworkSplits.Channels | NetworkSplits.FullyConnected;
        return Divisible((options, split, position, dtype) => Models.Vgg.Vgg.Create(net, options, split, position, dtype),
            splits) with { PrefersChannelsLast = net.BatchNorm };
    }

    /// <summary>A net whose one builder makes the whole as the only part.</summary>
    private static Family Divisible(PartBuilder create, NetworkSplits splits) =>
        new((options, position, dtype) => create(options, ChannelSplit.None, position, dtype), create, splits);

    private static Family ResNet(ResNetDepth depth) =>
        new((options, position, dtype) => Models.ResNet.ResNet.Create(depth, options, position, dtype));

    private static Family Find(string name) => Families.TryGetValue(name, out var family)
        ? family
        : throw new ModelOptionException($"model.name is {name}, which is not in the zoo; choose one of: {string.Join(", ", Names)}");

    /// <param name="Create">Builds the whole.</param>
    /// <param name="CreatePart">Builds a part, where there are parts.</param>
    /// <param name="Splits">What parts.</param>
    private sealed record Family(Builder Create, PartBuilder? CreatePart = null, NetworkSplits Splits = NetworkSplits.None)
    {
        /// <summary>
        /// True but for VGG, whose wide 3×3 convolutions oneDNN has in blocks of channels whatever comes in, with little between them.
        /// </summary>
        public bool PrefersChannelsLast { get; init; } = true;
    }
}
