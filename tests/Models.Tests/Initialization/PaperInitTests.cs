using static TorchSharp.torch;

namespace Cluster.Models.Tests.Initialization;

/// <summary>
/// The initial deviation of each kind of weight, by the model's paper (or, where it is silent, the code that its class names).
/// </summary>
public sealed class PaperInitTests
{
    [Theory]
    [InlineData("vgg11", 4, 0.1)]
    [InlineData("vgg11", 2, 0.1)]
    [InlineData("mobilenet_v1", 4, 0.09)]
    [InlineData("mobilenet_v2", 2, 0.01)]
    [InlineData("alexnet_keras", 4, 0.05 / 1.7320508075688772)] // a uniform's deviation is its bound over √3
    public void Weights_HaveTheDeviation(string model, int dims, double deviation)
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create(model, Small(model), seed: 1, ScalarType.Float64);

        foreach (var (name, parameter) in network.named_parameters().Where(p => p.parameter.shape.Length == dims))
            MeanSquare(parameter).ShouldBe(deviation * deviation, Tolerance(deviation * deviation, parameter), name);
    }

    [Theory]
    [InlineData("resnet18")]
    [InlineData("resnet50")]
    public void ResNet_IsHes(string model)
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create(model, Small(model), seed: 1, ScalarType.Float64);

        foreach (var (name, parameter) in network.named_parameters().Where(p => p.parameter.shape.Length > 1))
        {
            var variance = 2.0 / parameter.shape.Skip(1).Aggregate(1L, (a, b) => a * b);
            MeanSquare(parameter).ShouldBe(variance, Tolerance(variance, parameter), name);
        }
    }

    [Theory]
    [InlineData("vgg11_bn")]
    [InlineData("resnet18")]
    [InlineData("mobilenet_v1")]
    [InlineData("mobilenet_v2")]
    public void Normalisation_StartsAsTheIdentityAndBiasesAtZero(string model)
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create(model, Small(model), seed: 1, ScalarType.Float64);

        foreach (var (name, parameter) in network.named_parameters().Where(p => p.parameter.shape.Length == 1))
            parameter.data<double>().ToArray().ShouldAllBe(v => v == (name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0), name);
    }

    [Fact]
    public void LeNet5Of1998_IsUniformWithinEachUnitsBound()
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create("lenet5_1998", new Dictionary<string, object>(), seed: 1, ScalarType.Float64);

        var kernels = network.get_parameter("c3.weight")!.view(60, 25);
        for (var kernel = 0; kernel < 60; kernel++)
        {
            var inputs = kernel < 18 ? 3 : kernel < 54 ? 4 : 6; // Table I: six maps of three, nine of four, one of six
            var bound = 2.4 / (25 * inputs);
            var largest = kernels[kernel].data<double>().ToArray().Max(Math.Abs);
            largest.ShouldBeInRange(bound / 2, bound); // of 25 draws none above half: once in 2²⁵
        }
    }

    private static Dictionary<string, object> Small(string model)
    {
        var options = new Dictionary<string, object> { ["inputSize"] = 28, ["channels"] = 3, ["classes"] = 10 };
        options[model.StartsWith("mobilenet", StringComparison.Ordinal) ? "widthMultiplier" : "width"] = 0.25;
        return options;
    }

    private static double MeanSquare(Tensor parameter) => parameter.detach().pow(2).mean().item<double>();

    /// <summary>
    /// Six standard errors of a normal's mean square, which is more than a uniform's: of a few hundred weights none is further off.
    /// </summary>
    private static double Tolerance(double variance, Tensor parameter) => 6 * variance * Math.Sqrt(2.0 / parameter.numel());
}
