using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests;

public class SmokeTests
{
    [Fact]
    public void Training_OfAConvolution_Runs()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var net = nn.Sequential(("conv", nn.Conv2d(1, 4, 3)), ("relu", nn.ReLU()), ("flat", nn.Flatten()), ("fc", nn.Linear(4 * 36, 10)));
        net.state_dict().Keys.ShouldBe(["conv.weight", "conv.bias", "fc.weight", "fc.bias"]);
        var x = randn(2, 1, 8, 8);
        var y = tensor(new long[] { 1, 2 });
        var loss = nn.functional.cross_entropy(net.call(x), y);
        loss.backward();
        foreach (var (name, p) in net.named_parameters()) p.grad!.abs().sum().ToDouble().ShouldBeGreaterThan(0, name);
    }
}
