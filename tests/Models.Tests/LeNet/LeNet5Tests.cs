using static TorchSharp.torch;

namespace Cluster.Models.Tests.LeNet;

public sealed class LeNet5Tests
{
    [Fact]
    public void Parameters_AreThePapersWithDenseC3()
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create("lenet5", new Dictionary<string, object>(), seed: 1);

        network.parameters().Sum(p => p.numel()).ShouldBe(61_706);
        network.named_parameters().Select(p => p.name).ShouldBe(
            ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight",
                "fc3.bias"]);
    }

    [Theory]
    [InlineData(28, 1, 10)]
    [InlineData(32, 3, 4)]
    public void Backward_ReachesEveryParameter(int inputSize, int channels, int classes)
    {
        using var scope = NewDisposeScope();
        var options = new Dictionary<string, object> { ["inputSize"] = inputSize, ["channels"] = channels, ["classes"] = classes };
        using var network = ModelRegistry.Create("lenet5", options, seed: 1);

        var logits = network.call(ones(2, channels, inputSize, inputSize));
        logits.shape.ShouldBe([2, classes]);
        logits.pow(2).sum().backward();

        foreach (var (name, parameter) in network.named_parameters())
            parameter.grad!.abs().sum().item<float>().ShouldBeGreaterThan(0, name);
    }

    [Fact]
    public void PaperInit_IsUniformWithinTheFanInBound()
    {
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create("lenet5", new Dictionary<string, object>(), seed: 1, ScalarType.Float64);

        var fanIns = new Dictionary<string, int> { ["conv1"] = 25, ["conv2"] = 150, ["fc1"] = 400, ["fc2"] = 120, ["fc3"] = 84 };
        foreach (var (name, parameter) in network.named_parameters())
        {
            var bound = 2.4 / fanIns[name.Split('.')[0]];
            var values = parameter.data<double>().ToArray();
            values.ShouldAllBe(v => Math.Abs(v) <= bound, name);
            // The variance of a uniform is bound²/3, its estimate's standard error bound²·√(4/45/n).
            values.Average(v => v * v).ShouldBe(bound * bound / 3, 5 * bound * bound * Math.Sqrt(4.0 / 45 / values.Length), name);
        }
    }
}
