using Cluster.Contracts.Catalog;
using Cluster.Models.Summary;
using static TorchSharp.torch;

namespace Cluster.Models.Tests;

/// <summary>What holds for every model of the catalogue.</summary>
public sealed class ZooTests
{
    /// <summary>Above this, one image alone takes a second or more of a core: the long round counts those.</summary>
    private const long QuickMultiplyAdds = 5_000_000_000;

    public static TheoryData<string> Models => [.. ModelCatalog.All.Select(model => model.Name)];

    /// <summary>Those that end in a global average.</summary>
    public static TheoryData<string> AnySize =>
        [.. ModelCatalog.All.Where(model => model.Family is "Inception" or "ResNet" or "MobileNet").Select(model => model.Name)];

    public static TheoryData<string> Costly =>
        [.. ModelCatalog.All.Where(model => model.Facts.MultiplyAdds > QuickMultiplyAdds).Select(model => model.Name)];

    [Theory]
    [MemberData(nameof(Models))]
    public void Parameters_AreTheCatalogues(string name)
    {
        using var network = ModelRegistry.CreateToLoad(name, new Dictionary<string, object>());
        var facts = Facts(name);

        network.parameters().Sum(p => p.numel()).ShouldBe(facts.Parameters + facts.AuxiliaryParameters);
        network.Shape.ShouldBe(new ClassifierShape(facts.Channels, facts.InputSize, facts.Classes));
        if (facts.MultiplyAdds <= QuickMultiplyAdds)
            NetworkSummary.Of(network).MultiplyAdds.ShouldBe(facts.MultiplyAdds);
    }

    [Theory]
    [InlineData("googlenet", 2)]
    [InlineData("googlenet_tv", 2)]
    [InlineData("inception_v3", 1)]
    public void AuxiliaryHeads_CanBeLeftOut(string name, int heads)
    {
        using var with = ModelRegistry.CreateToLoad(name, new Dictionary<string, object> { ["auxiliaryWeight"] = 0.2 });
        using var without = ModelRegistry.CreateToLoad(name, new Dictionary<string, object> { ["auxiliaryHeads"] = false });

        with.AuxiliaryWeights.ShouldBe(Enumerable.Repeat(0.2, heads));
        without.AuxiliaryWeights.ShouldBeEmpty();
        without.parameters().Sum(p => p.numel()).ShouldBe(Facts(name).Parameters);
        Should.Throw<ModelOptionException>(
                () => ModelRegistry.CreateToLoad(
                    name, new Dictionary<string, object> { ["auxiliaryHeads"] = false, ["auxiliaryWeight"] = 0.2 }))
            .Message.ShouldContain("auxiliaryWeight is 0.2; auxiliaryHeads false leaves no heads");
    }

    [Theory]
    [InlineData("inception_v2", "redundantBiases", true, 11_295_240)]
    [InlineData("inception_v2", "firstConvolution", "separable", 11_278_528)]
    [InlineData("inception_resnet_v1", "variant", "sixBlocks", 24_357_096)]
    [InlineData("inception_resnet_v1", "variant", "features512", 23_995_624)]
    [InlineData("inception_resnet_v2", "variant", "paper", 32_433_928)]
    [InlineData("inception_v3", "gridReduction", "poolFirst", 27_161_264)]
    [InlineData("inception_v3", "gridReduction", "inceptionFirst", 27_161_264)]
    public void Variants_HaveTheirParameters(string name, string option, object value, long parameters)
    {
        using var network = ModelRegistry.CreateToLoad(name, new Dictionary<string, object> { [option] = value });

        network.parameters().Sum(p => p.numel()).ShouldBe(parameters);
    }

    [Theory]
    [Trait("Round", "full")]
    [MemberData(nameof(Costly))]
    public void MultiplyAdds_AreTheCatalogues(string name)
    {
        using var network = ModelRegistry.CreateToLoad(name, new Dictionary<string, object>());

        NetworkSummary.Of(network).MultiplyAdds.ShouldBe(Facts(name).MultiplyAdds);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void SmallBuild_GivesLogitsAndReachesEveryParameter(string name)
    {
        foreach (var (size, channels) in SmallInputs(name))
        {
            using var scope = NewDisposeScope();
            using var network = Small(name, size, channels, seed: 1);
            var images = Images(4, channels, size);

            foreach (var output in network.Outputs(images))
                output.shape.ShouldBe([4, 10]);
            Loss(network, images).backward();
            foreach (var (parameter, value) in network.named_parameters())
                value.grad.ShouldNotBeNull(parameter);

            // By the running statistics: a bias before batch normalisation has a gradient of zero while training. The net itself goes on
            // training, for its heads.
            network.zero_grad();
            foreach (var child in network.children())
                child.eval();
            network.Outputs(images).Count.ShouldBe(1 + network.AuxiliaryWeights.Count);
            Loss(network, images).backward();
            foreach (var (parameter, value) in network.named_parameters())
                value.grad!.abs().sum().item<double>().ShouldBeGreaterThan(0, $"{parameter} at {size}");

            network.eval();
            network.Outputs(images).Count.ShouldBe(1);
        }
    }

    [Theory]
    [MemberData(nameof(AnySize))]
    public void LargeInputsOfOtherSizes_GiveLogits(string name)
    {
        foreach (var size in (int[])[96, 384])
        {
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            using var network = Small(name, size, 3, seed: 1);

            foreach (var output in network.Outputs(Images(2, 3, size)))
                output.shape.ShouldBe([2, 10]);
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void ParametersAndBuffers_AreAllThatALoadedNetNeeds(string name)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var (size, channels) = SmallInputs(name)[0];
        using var trained = Small(name, size, channels, seed: 1);
        using var loaded = Small(name, size, channels, seed: 2);
        var images = Images(4, channels, size);
        trained.call(images); // in training mode, so that running statistics leave their initial values

        foreach (var (parameter, value) in trained.named_parameters())
            loaded.get_parameter(parameter)!.copy_(value);
        foreach (var (own, other) in trained.Buffers().Zip(loaded.Buffers()))
        {
            other.Name.ShouldBe(own.Name);
            Doubles(own.Buffer).ShouldNotBe(Doubles(other.Buffer), own.Name);
            other.Buffer.copy_(own.Buffer);
        }

        trained.eval();
        loaded.eval();
        var logits = Doubles(trained.call(images));
        Doubles(loaded.call(images)).ShouldBe(logits);
        Doubles(trained.call(images)).ShouldBe(logits, "evaluation changes nothing");
    }

    private static ModelFacts Facts(string name) => ModelCatalog.All.Single(model => model.Name == name).Facts;

    private static IReadOnlyList<(int Size, int Channels)> SmallInputs(string name) =>
        name.StartsWith("lenet5", StringComparison.Ordinal) ? [(28, 1), (32, 3)] : [(28, 1), (64, 3)];

    private static ImageClassifier Small(string name, int size, int channels, ulong seed)
    {
        var options = new Dictionary<string, object> { ["inputSize"] = size, ["channels"] = channels, ["classes"] = 10, ["init"] = "he" };
        ModelCatalog.TryGet(name, out var model).ShouldBeTrue();
        foreach (var (option, value) in (IEnumerable<(string, double)>)[("width", 0.0625), ("widthMultiplier", 0.25), ("dropout", 0),
            ("auxiliaryDropout", 0)])
        {
            if (model!.Option(option) is not null)
                options[option] = value;
        }

        return ModelRegistry.Create(name, options, seed, ScalarType.Float64);
    }

    private static Tensor Images(int count, int channels, int size) => tensor(
        Enumerable.Range(0, count * channels * size * size).Select(i => CounterRandom.Normal(3, (ulong)i)).ToArray(),
        [count, channels, size, size]);

    private static Tensor Loss(ImageClassifier network, Tensor images) =>
        network.Outputs(images)
            .Select(logits => (logits * arange(logits.numel(), dtype: ScalarType.Float64).view(logits.shape).sin()).sum())
            .Aggregate((sum, loss) => sum + loss);

    private static double[] Doubles(Tensor tensor) => tensor.detach().contiguous().data<double>().ToArray();
}
