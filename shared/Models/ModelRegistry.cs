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
        ["lenet5"] = new(LeNet5.Create, CreateTower: null),
        ["alexnet"] = new(AlexNet.AlexNet.Create, AlexNet.AlexNet.CreateTower),
        ["lenet5_1998"] = new(LeNet5Of1998.Create, CreateTower: null),
        ["alexnet_keras"] = new(AlexNetKeras.Create, CreateTower: null),
        ["alexnet_owt"] = new(AlexNetOneWeirdTrick.Create, CreateTower: null),
        ["fourlayer_cnn"] = new(FourLayerCnn.Create, CreateTower: null),
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
        ["googlenet"] = new(GoogLeNet.Create, CreateTower: null),
        ["googlenet_tv"] = new(GoogLeNet.CreateAsTorchvision, CreateTower: null),
        ["inception_v2"] = new(InceptionV2.Create, CreateTower: null),
        ["inception_v3"] = new(InceptionV3.Create, CreateTower: null),
        ["inception_v4"] = new(InceptionV4.Create, CreateTower: null),
        ["inception_resnet_v1"] = new(InceptionResNet.CreateV1, CreateTower: null),
        ["inception_resnet_v2"] = new(InceptionResNet.CreateV2, CreateTower: null),
        ["resnet18"] = ResNet(ResNetDepth.ResNet18),
        ["resnet34"] = ResNet(ResNetDepth.ResNet34),
        ["resnet50"] = ResNet(ResNetDepth.ResNet50),
        ["resnet101"] = ResNet(ResNetDepth.ResNet101),
        ["resnet152"] = ResNet(ResNetDepth.ResNet152),
        ["mobilenet_v1"] = new(MobileNetV1.Create, CreateTower: null),
        ["mobilenet_v2"] = new(MobileNetV2.Create, CreateTower: null),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private delegate ImageClassifier Builder(ModelOptions options, StepPosition position, ScalarType dtype);

    private delegate ImageClassifier TowerBuilder(ModelOptions options, TowerExchange exchange, StepPosition position, ScalarType dtype);

    /// <summary>Every name that <see cref="Create"/> takes, in order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Families.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Whether <see cref="CreateTower"/> can build half of this model.</summary>
    public static bool HasTowers(string name) => Find(name).CreateTower is not null;

    /// <summary>A whole network with its initial parameters, in the CPU's memory and in training mode.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="options">Booleans, integers, doubles and strings by option name.</param>
    /// <param name="seed">Decides the initial parameters and later the dropped units.</param>
    /// <param name="dtype">Float32 or float64.</param>
    /// <exception cref="ModelOptionException">The name or an option is unknown or out of range.</exception>
    public static ImageClassifier Create(string name, IReadOnlyDictionary<string, object> options, ulong seed, ScalarType dtype = ScalarType.Float32) =>
        Find(name).Create(new ModelOptions(name, options), new StepPosition(seed), dtype);

    /// <summary>As <see cref="Create"/>, for parameters and buffers that are loaded afterwards: those of the net are not drawn and must not be used.</summary>
    public static ImageClassifier CreateToLoad(string name, IReadOnlyDictionary<string, object> options, ScalarType dtype = ScalarType.Float32) =>
        Find(name).Create(new ModelOptions(name, options), new StepPosition(0) { ParametersFollow = true }, dtype);

    /// <summary>One tower of a network that is split by channel groups over two devices.</summary>
    /// <exception cref="ModelOptionException">As <see cref="Create"/>; also when the model has no such split.</exception>
    public static ImageClassifier CreateTower(
        string name, IReadOnlyDictionary<string, object> options, ulong seed, TowerExchange exchange, ScalarType dtype = ScalarType.Float32)
    {
        var build = Find(name).CreateTower
            ?? throw new ModelOptionException($"model.name is {name}, which has no split by model; choose parallelism data, or one of: {string.Join(", ", Names.Where(HasTowers))}");
        return build(new ModelOptions(name, options), exchange, new StepPosition(seed), dtype);
    }

    private static Family Vgg(VggNet net) => new((options, position, dtype) => Models.Vgg.Vgg.Create(net, options, position, dtype), CreateTower: null);

    private static Family ResNet(ResNetDepth depth) => new((options, position, dtype) => Models.ResNet.ResNet.Create(depth, options, position, dtype), CreateTower: null);

    private static Family Find(string name) => Families.TryGetValue(name, out var family)
        ? family
        : throw new ModelOptionException($"model.name is {name}, which is not in the zoo; choose one of: {string.Join(", ", Names)}");

    private sealed record Family(Builder Create, TowerBuilder? CreateTower);
}
