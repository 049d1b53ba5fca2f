using System.Globalization;
using Cluster.Models.Layers;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Layers;

public sealed class LocalResponseNormTests
{
    // tf.nn.lrn(a, depth_radius 2, bias 0, alpha 1, beta 1) of four pixels of eight channels, as the review prints inputs and outputs.
    private const string ReviewInput = """
        1 2 3 4 5 6 7 8
        8 7 6 5 4 3 2 1
        4 3 2 1 8 7 6 5
        1 2 3 4 5 6 7 8
        """;

    private const string ReviewOutput = """
        0.07142857 0.06666667 0.05454545 0.04444445 0.03703704 0.03157895 0.04022989 0.05369128
        0.05369128 0.04022989 0.03157895 0.03703704 0.04444445 0.05454545 0.06666667 0.07142857
        0.13793103 0.10000001 0.0212766 0.00787402 0.05194805 0.04 0.03448276 0.04545454
        0.07142857 0.06666667 0.05454545 0.04444445 0.03703704 0.03157895 0.04022989 0.05369128
        """;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WorkedExampleOfTheReview_GivesAll32Outputs(bool pyTorchConvention)
    {
        using var scope = NewDisposeScope();
        var norm = pyTorchConvention
            ? LocalResponseNorm.AsInPyTorch(5, alpha: 5, beta: 1, k: 0)
            : LocalResponseNorm.AsInPaper(5, alpha: 1, beta: 1, k: 0);

        var output = norm.call(Pixels(ReviewInput, ScalarType.Float32));

        var expected = Pixels(ReviewOutput, ScalarType.Float32).data<float>().ToArray();
        var actual = output.data<float>().ToArray();
        actual.Length.ShouldBe(32);
        for (var i = 0; i < actual.Length; i++)
            actual[i].ShouldBe(expected[i], 2e-8f); // the review prints float32 to 8 digits
    }

    [Fact]
    public void PaperDefaults_FollowTheFormula()
    {
        using var scope = NewDisposeScope();
        double[] a = [3, -40, 500, 6, 0, -700, 80];
        var output = LocalResponseNorm.AsInPaper().call(tensor(a, [1, 7, 1, 1])).data<double>().ToArray();

        for (var i = 0; i < a.Length; i++)
        {
            var sum = Enumerable.Range(0, a.Length).Where(j => Math.Abs(j - i) <= 2).Sum(j => a[j] * a[j]);
            output[i].ShouldBe(a[i] / Math.Pow(2 + (1e-4 * sum), 0.75), 1e-12 * 700);
        }
    }

    [Theory]
    [InlineData(0.75)]
    [InlineData(0.6)]
    public void Gradient_EqualsDifferenceQuotient(double beta)
    {
        using var scope = NewDisposeScope();
        var norm = LocalResponseNorm.AsInPaper(3, alpha: 0.5, beta, k: 1);
        double[] at = [0.3, -1.2, 2.0, 0.7];
        var input = tensor(at, [1, 4, 1, 1]).requires_grad_();
        norm.call(input)[0, 1, 0, 0].backward();
        var gradient = input.grad!.data<double>().ToArray();

        const double Step = 1e-6; // error of a central difference: Step² ≈ 1e-12 times third derivatives, and 1e-16 / Step of rounding
        for (var i = 0; i < at.Length; i++)
        {
            double[] above = [.. at], below = [.. at];
            above[i] += Step;
            below[i] -= Step;
            var quotient = (Second(norm, above) - Second(norm, below)) / (2 * Step);
            gradient[i].ShouldBe(quotient, 1e-8);
        }
    }

    /// <summary>
    /// Our kernel in float32 beside the matrix product in float64: planes and rows that fill no vector or no block, and groups.
    /// </summary>
    [Theory]
    [InlineData(2, 7, 1, 3, 1, 5)]
    [InlineData(3, 48, 9, 9, 1, 5)]
    [InlineData(2, 40, 5, 13, 2, 5)]
    [InlineData(1, 16, 1, 1, 1, 3)]
    [InlineData(2, 66, 8, 8, 3, 7)]
    public void Kernel_InEitherLayout_EqualsTheMatrixInDoublePrecision(
        int samples, int channels, int height, int width, int groups, int size)
    {
        using var scope = NewDisposeScope();
        using var generator = new TorchSharp.torch.Generator(1);
        var norm = LocalResponseNorm.AsInPaper(size, alpha: 0.3, groups: groups);
        long[] shape = [samples, channels, height, width];
        var (input, gradient) = (randn(shape, generator: generator), randn(shape, generator: generator));
        var (expected, expectedGradient) = Both(norm.ByMatrix, input.to(ScalarType.Float64), gradient.to(ScalarType.Float64));

        foreach (var arranged in new[] { input, ImageLayout.ToChannelsLast(input) })
        {
            var (output, inputGradient) = Both(norm.call, arranged, gradient);

            // Values of up to 4; a sum of seven squares, two roots, a quotient and three products: some ten roundings of 6e-8.
            (output.to(ScalarType.Float64) - expected).abs().max().item<double>().ShouldBeLessThan(4e-6);
            (inputGradient.to(ScalarType.Float64) - expectedGradient).abs().max().item<double>().ShouldBeLessThan(8e-6);
            ImageLayout.IsChannelsLast(output).ShouldBe(ImageLayout.IsChannelsLast(arranged));
        }
    }

    [Fact]
    public void Kernel_OfASample_SeesNoOther()
    {
        using var scope = NewDisposeScope();
        var alone = full([1, 5, 1, 1], 2f);
        var among = cat([alone, full([1, 5, 1, 1], float.NaN)], 0);

        LocalResponseNorm.AsInPaper().call(among)[0].data<float>().ToArray()
            .ShouldBe(LocalResponseNorm.AsInPaper().call(alone)[0].data<float>().ToArray());
    }

    private static (Tensor Output, Tensor Gradient) Both(Func<Tensor, Tensor> forward, Tensor input, Tensor gradient)
    {
        var leaf = input.detach().requires_grad_();
        var output = forward(leaf);
        output.backward([gradient]);
        return (output.detach(), leaf.grad!);
    }

    private static double Second(LocalResponseNorm norm, double[] values) =>
        norm.call(tensor(values, [1, values.Length, 1, 1])).data<double>().ToArray()[1];

    /// <summary>Rows of pixels, columns of channels → (1, channels, 1, pixels).</summary>
    private static Tensor Pixels(string text, ScalarType dtype)
    {
        var values = text.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(word => double.Parse(word, CultureInfo.InvariantCulture)).ToArray();
        return tensor(values, [values.Length / 8, 8], dtype: dtype).transpose(0, 1).contiguous().view(1, 8, 1, values.Length / 8);
    }
}
