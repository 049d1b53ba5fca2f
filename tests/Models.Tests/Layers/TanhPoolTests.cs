using Cluster.Models.Layers;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Layers;

public sealed class TanhPoolTests
{
    /// <summary>
    /// Our kernel in float32 beside libtorch's operators in float64: LeNet-5's maps, and rows and samples that fill no vector or
    /// several.
    /// </summary>
    [Theory]
    [InlineData(5, 6, 28, 28)]
    [InlineData(5, 16, 10, 10)]
    [InlineData(1, 1, 2, 2)]
    [InlineData(3, 3, 4, 6)]
    [InlineData(2, 17, 2, 34)]
    [InlineData(2, 40, 6, 2)]
    public void Kernel_InEitherLayout_EqualsTheOperatorsInDoublePrecision(int samples, int channels, int height, int width)
    {
        using var scope = NewDisposeScope();
        using var generator = new TorchSharp.torch.Generator(1);
        var input = 3 * randn([samples, channels, height, width], generator: generator);
        var gradient = randn([samples, channels, height / 2, width / 2], generator: generator);
        var (expected, expectedGradient) = Both(TanhPool.ByOperators, input.to(ScalarType.Float64), gradient.to(ScalarType.Float64));

        foreach (var arranged in new[] { input, ImageLayout.ToChannelsLast(input) })
        {
            foreach (var arrangedGradient in new[] { gradient, ImageLayout.ToChannelsLast(gradient) })
            {
                var (output, inputGradient) = Both(new TanhPool().call, arranged, arrangedGradient);

                // tanh to 3e-7 of itself, a mean of values up to 1; a gradient of up to 5, a quarter of it times 1 − tanh², which is
                // off by twice as much as tanh.
                Difference(output, expected).ShouldBeLessThan(5e-7);
                Difference(inputGradient, expectedGradient).ShouldBeLessThan(1.25 * 8e-7);
                ImageLayout.IsChannelsLast(output).ShouldBe(ImageLayout.IsChannelsLast(arranged) && !output.is_contiguous());
            }
        }
    }

    [Fact]
    public void Kernel_OverAllSizesOfNumbers_IsTanhToAFewBits_AndOneAtMost()
    {
        using var scope = NewDisposeScope();
        float[] special = [0, -0f, float.Epsilon, -1e-38f, 1e-20f, 8.99f, 9, 9.01f, 20, -20, 1e19f, 3e38f, float.PositiveInfinity,
            float.NegativeInfinity];
        var usual = Enumerable.Range(0, 40_000).Select(i => (i - 20_000) * 5e-4f);
        var small = Enumerable.Range(0, 986).Select(i => MathF.Pow(10, (i - 986) / 30f));
        float[] values = [.. special, .. usual, .. small];

        // Each value four times, so that the mean is the value itself.
        var tanh = new TanhPool().call(tensor(values).view(1, -1, 1, 1).expand(1, values.Length, 2, 2)).data<float>().ToArray();

        for (var i = 0; i < values.Length; i++)
        {
            // A number too small for float32's full precision is right to its last place, which three roundings by four may move.
            var expected = Math.Tanh(values[i]);
            ((double)tanh[i]).ShouldBe(expected, Math.Max(4e-7 * Math.Abs(expected), 4 * float.Epsilon), $"{values[i]}");
            Math.Abs(tanh[i]).ShouldBeLessThanOrEqualTo(1);
        }

        new TanhPool().call(tensor([float.NaN, 1, 1, 1]).view(1, 1, 2, 2)).item<float>().ShouldBe(float.NaN);
    }

    [Theory]
    [InlineData(ScalarType.Float64, 6)]
    [InlineData(ScalarType.Float32, 7)] // a row and a column that fill no square
    public void WhatTheKernelDoesNotTake_GoesByOperators(ScalarType dtype, int size)
    {
        using var scope = NewDisposeScope();
        var input = linspace(-2, 2, 2 * size * size, dtype: dtype).view(1, 2, size, size);

        var output = new TanhPool().call(input);

        output.shape.ShouldBe([1, 2, 3, 3]);
        output.dtype.ShouldBe(dtype);
        Difference(output, nn.functional.avg_pool2d(input.tanh(), 2)).ShouldBe(0);
    }

    private static double Difference(Tensor one, Tensor other) =>
        (one.to(ScalarType.Float64) - other.to(ScalarType.Float64)).abs().max().item<double>();

    private static (Tensor Output, Tensor Gradient) Both(Func<Tensor, Tensor> forward, Tensor input, Tensor gradient)
    {
        var leaf = input.detach().requires_grad_();
        var output = forward(leaf);
        output.backward([gradient]);
        return (output.detach(), leaf.grad!);
    }
}
