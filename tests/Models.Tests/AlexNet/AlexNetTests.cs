using static TorchSharp.torch;

namespace Cluster.Models.Tests.AlexNet;

public sealed class AlexNetTests
{
    private static readonly Dictionary<string, object> Small = new()
    {
        ["inputSize"] = 28,
        ["channels"] = 1,
        ["classes"] = 10,
        ["width"] = 0.0625,
        ["init"] = "he",
    };

    [Fact]
    public void Parameters_OfThePapersNet_AreThePapersInNumberAndDistribution()
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create("alexnet", new Dictionary<string, object>(), seed: 1);

        network.parameters().Sum(p => p.numel()).ShouldBe(60_965_224);
        foreach (var (name, parameter) in network.named_parameters())
        {
            if (name.EndsWith("weight", StringComparison.Ordinal))
            {
                // Five standard errors: σ/√n of the mean, σ/√(2n) of the deviation.
                var n = (double)parameter.numel();
                var squares = parameter.detach().pow(2).mean().to(ScalarType.Float64).item<double>();
                parameter.detach().mean().to(ScalarType.Float64).item<double>().ShouldBe(0, 5 * 0.01 / Math.Sqrt(n), name);
                Math.Sqrt(squares).ShouldBe(0.01, 5 * 0.01 / Math.Sqrt(2 * n), name);
            }
            else
            {
                var expected = name is "conv2.bias" or "conv4.bias" or "conv5.bias" or "fc6.bias" or "fc7.bias" ? 1f : 0f;
                parameter.data<float>().ToArray().ShouldAllBe(v => v == expected, name);
            }
        }
    }

    [Theory]
    [InlineData(28, 1)]
    [InlineData(32, 3)]
    [InlineData(47, 1)]
    [InlineData(48, 1)]
    [InlineData(64, 3)]
    [InlineData(224, 3)]
    public void EveryInputSize_GivesLogitsAndReachesEveryParameter(int inputSize, int channels)
    {
        using var scope = NewDisposeScope();
        var options = new Dictionary<string, object>(Small) { ["inputSize"] = inputSize, ["channels"] = channels, ["dropout"] = 0.0 };
        using var network = ModelRegistry.Create("alexnet", options, seed: 1);

        var logits = network.call(ones(2, channels, inputSize, inputSize));
        logits.shape.ShouldBe([2, 10]);
        logits.pow(2).sum().backward();

        foreach (var (name, parameter) in network.named_parameters())
            parameter.grad!.abs().sum().item<float>().ShouldBeGreaterThan(0, name);
    }

    [Fact]
    public void HeInit_HasTheDeviationOfItsFanIn()
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create("alexnet", Small, seed: 1, ScalarType.Float64);
        foreach (var (name, parameter) in network.named_parameters())
        {
            var values = parameter.data<double>().ToArray();
            if (name.EndsWith("bias", StringComparison.Ordinal))
            {
                values.ShouldAllBe(v => v == 0, name);
                continue;
            }

            var variance = 2.0 / parameter.shape.Skip(1).Aggregate(1L, (a, b) => a * b);
            values.Average(v => v * v).ShouldBe(variance, 5 * variance * Math.Sqrt(2.0 / values.Length), name); // five standard errors
        }
    }

    [Fact]
    public void OriginalDropout_IsTheSameNetAtTestWithTheNextLayersWeightsScaled()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var original = ModelRegistry.Create(
            "alexnet", new Dictionary<string, object>(Small) { ["dropoutForm"] = "original", ["dropout"] = 0.25 }, seed: 1);
        using var inverted = ModelRegistry.Create("alexnet", new Dictionary<string, object>(Small) { ["dropout"] = 0.25 }, seed: 1);
        foreach (var weight in (string[])["fc7.weight", "fc8.weight"])
            inverted.get_parameter(weight)!.mul_(0.75);
        original.eval();
        inverted.eval();
        var images = rand(2, 1, 28, 28);

        var difference = original.call(images) - inverted.call(images);

        difference.abs().max().item<float>().ShouldBeLessThan(1e-5f); // products in another order
    }

    [Fact]
    public void Width_ScalesEveryLayer()
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create("alexnet", Small, seed: 1);

        network.named_parameters().ToDictionary(p => p.name, p => p.parameter.shape[0])
            .Where(p => p.Key.EndsWith("weight", StringComparison.Ordinal))
            .Select(p => p.Value).ShouldBe([6, 16, 24, 24, 16, 256, 256, 10]);
    }

    [Fact]
    public void SameSeed_GivesTheSameNetWhateverWasDrawnBefore()
    {
        using var scope = NewDisposeScope();
        using var first = ModelRegistry.Create("alexnet", Small, seed: 1);
        randn(17); // the global generator's history must not matter
        using var again = ModelRegistry.Create("alexnet", Small, seed: 1);
        using var other = ModelRegistry.Create("alexnet", Small, seed: 2);

        Weights(again).ShouldBe(Weights(first));
        Weights(other).ShouldNotBe(Weights(first));
    }

    private static float[] Weights(ImageClassifier network) => network.get_parameter("fc7.weight")!.data<float>().ToArray();
}
