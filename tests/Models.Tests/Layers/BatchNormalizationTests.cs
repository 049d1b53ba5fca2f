using Cluster.Models.Layers;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Layers;

public sealed class BatchNormalizationTests
{
    [Fact]
    public void OneValueAChannel_InTraining_IsRefusedAndLeavesTheRunningVarianceAlone()
    {
        using var layer = new BatchNormalization(3, ScalarType.Float32);
        using var one = randn(1, 3, 1, 1);

        Should.Throw<ModelOptionException>(() => layer.forward(one))
            .Message.ShouldContain("one value has no variance; raise hyperparameters.globalBatchSize");

        layer.running_var!.data<float>().ToArray().ShouldBe([1, 1, 1]);
        layer.eval();
        layer.forward(one).isfinite().all().item<bool>().ShouldBeTrue();
    }

    [Theory]
    [InlineData(2, 1, 1)]
    [InlineData(1, 2, 1)]
    [InlineData(1, 1, 2)]
    public void TwoValuesAChannel_InTraining_AreNormalised(long samples, long height, long width)
    {
        using var layer = new BatchNormalization(3, ScalarType.Float32);
        using var two = randn(samples, 3, height, width);

        layer.forward(two).isfinite().all().item<bool>().ShouldBeTrue();

        layer.running_var!.isfinite().all().item<bool>().ShouldBeTrue();
    }
}
