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

    /// <summary>
    /// Our kernel in float32, channels-last, beside libtorch's in float64: channels that fill vectors, share one or need several rows to
    /// fill them, a mean far from zero, and pixels that make up no whole row.
    /// </summary>
    [Theory]
    [InlineData(4, 64, 14, 14, 0)]
    [InlineData(3, 24, 7, 5, 3)]
    [InlineData(2, 3, 9, 9, 300)]
    [InlineData(2, 17, 3, 5, -2)]
    [InlineData(1, 130, 4, 3, 1)]
    [InlineData(2, 2, 1, 1, 0)]
    public void Kernel_EqualsLibtorchInDoublePrecision(int samples, int channels, int height, int width, double mean)
    {
        using var scope = NewDisposeScope();
        using var generator = new TorchSharp.torch.Generator(1);
        var input = mean + randn([samples, channels, height, width], generator: generator);
        var gradient = randn([samples, channels, height, width], generator: generator);
        using var layer = new BatchNormalization(channels, ScalarType.Float32);
        layer.weight!.detach().copy_(randn(channels, generator: generator));
        layer.bias!.detach().copy_(randn(channels, generator: generator));

        var (output, gradients, statistics) = Step(layer, ImageLayout.ToChannelsLast(input), ImageLayout.ToChannelsLast(gradient));

        using var exact = new BatchNormalization(channels, ScalarType.Float64);
        exact.weight!.detach().copy_(layer.weight!);
        exact.bias!.detach().copy_(layer.bias!);
        var (exactOutput, exactGradients, exactStatistics) = Step(exact, input.to(ScalarType.Float64), gradient.to(ScalarType.Float64));
        ImageLayout.IsChannelsLast(output).ShouldBe(height * width > 1);
        // A value of 300 is rounded by 1.5e-5, and its channel's mean with it, of a deviation of 1; two values may lie a tenth of that
        // apart. What is about 4 at most is rounded by some 2e-7 a few times, and sums of 200 to 800 of them add up.
        var rounding = Math.Max(2e-6, 1e-7 * Math.Abs(mean)) * 10;
        Difference(output, exactOutput).ShouldBeLessThan(rounding);
        foreach (var (ours, exactly) in gradients.Concat(statistics).Zip(exactGradients.Concat(exactStatistics)))
            Difference(ours, exactly).ShouldBeLessThan(rounding * Math.Max(1, exactly.abs().max().item<double>()));
    }

    /// <summary>200,704 values of a tenth: added in float32 one after the other they give 20,029.6 instead of 20,070.4.</summary>
    [Fact]
    public void SumOverABatchsPixels_RoundsAsAFewValuesDo()
    {
        using var scope = NewDisposeScope();
        using var layer = new BatchNormalization(32, ScalarType.Float32);
        var input = ImageLayout.ToChannelsLast(randn(16, 32, 112, 112));

        var (_, gradients, _) = Step(layer, input, ImageLayout.ToChannelsLast(full([16, 32, 112, 112], 0.1f)));

        gradients[2].data<float>().ToArray().ShouldAllBe(sum => Math.Abs((sum / (200_704 * (double)0.1f)) - 1) < 32 * 6e-8);
    }

    [Fact]
    public void Kernel_OnAsManyThreads_GivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        var input = ImageLayout.ToChannelsLast(randn(8, 24, 56, 56));
        var gradient = ImageLayout.ToChannelsLast(randn(8, 24, 56, 56));
        var threads = get_num_threads();
        try
        {
            set_num_threads(2);
            var (first, second) = (Everything(), Everything());

            first.Zip(second).ShouldAllBe(pair => pair.First.equal(pair.Second).all().item<bool>());
        }
        finally
        {
            set_num_threads(threads);
        }

        List<Tensor> Everything()
        {
            using var layer = new BatchNormalization(24, ScalarType.Float32);
            var (output, gradients, statistics) = Step(layer, input, gradient);
            return [output, .. gradients, .. statistics.Select(one => one.clone())];
        }
    }

    private static double Difference(Tensor one, Tensor other) =>
        (one.to(ScalarType.Float64) - other.to(ScalarType.Float64)).abs().max().item<double>();

    /// <returns>The output; gradients of input, weight and bias; running mean and variance.</returns>
    private static (Tensor Output, List<Tensor> Gradients, List<Tensor> Statistics) Step(
        BatchNormalization layer, Tensor input, Tensor gradient)
    {
        var leaf = input.detach().requires_grad_();
        var output = layer.call(leaf);
        output.backward([gradient]);
        return (output.detach(), [leaf.grad!, layer.weight!.grad!, layer.bias!.grad!], [layer.running_mean!, layer.running_var!]);
    }
}
