using Cluster.Models.Layers;
using static TorchSharp.torch;

namespace Cluster.Models.Tests.Layers;

public sealed class CounterDropoutTests
{
    private const int Samples = 8;
    private const int Units = 64;

    [Fact]
    public void OriginalForm_DropsWithoutDividingAndMultipliesAtTest()
    {
        using var scope = NewDisposeScope();
        using var dropout = new CounterDropout("fc", 0.25, 1000, 0, new StepPosition(1), DropoutForm.Original);
        using var inverted = new CounterDropout("fc", 0.25, 1000, 0, new StepPosition(1));
        var units = ones(2, 1000, ScalarType.Float64);

        var trained = dropout.call(units);

        trained.data<double>().ToArray().ShouldBe((inverted.call(units) * 0.75).data<double>().ToArray());
        trained.sum().item<double>().ShouldBeInRange(1400, 1600);
        dropout.eval();
        dropout.call(units).data<double>().ToArray().ShouldAllBe(unit => unit == 0.75);
    }

    [Fact]
    public void SplitByUnits_DropsTheSameOnes()
    {
        using var scope = NewDisposeScope();
        var whole = Mask(new StepPosition(7) { Step = 3 }, Samples, Units, firstUnit: 0);

        var left = Mask(new StepPosition(7) { Step = 3 }, Samples, Units / 2, firstUnit: 0);
        var right = Mask(new StepPosition(7) { Step = 3 }, Samples, Units / 2, firstUnit: Units / 2);

        Same(cat([left, right], 1), whole);
    }

    [Fact]
    public void SplitBySamples_DropsTheSameOnes()
    {
        using var scope = NewDisposeScope();
        var whole = Mask(new StepPosition(7) { Step = 3 }, Samples, Units, firstUnit: 0);

        var first = Mask(new StepPosition(7) { Step = 3, FirstSample = 0 }, 3, Units, firstUnit: 0);
        var rest = Mask(new StepPosition(7) { Step = 3, FirstSample = 3 }, Samples - 3, Units, firstUnit: 0);

        Same(cat([first, rest], 0), whole);
    }

    [Fact]
    public void StepSeedAndLayer_EachChangeTheMask()
    {
        using var scope = NewDisposeScope();
        float[][] masks =
        [
            Values(Mask(new StepPosition(7) { Step = 3 }, Samples, Units, 0)),
            Values(Mask(new StepPosition(7) { Step = 4 }, Samples, Units, 0)),
            Values(Mask(new StepPosition(8) { Step = 3 }, Samples, Units, 0)),
            Values(Mask(new StepPosition(7) { Step = 3 }, Samples, Units, 0, layer: "other")),
        ];

        masks.DistinctBy(mask => string.Concat(mask.Select(v => v == 0 ? '0' : '1'))).Count().ShouldBe(4);
    }

    [Fact]
    public void Training_KeepsTheExpectedShareAndScalesIt()
    {
        using var scope = NewDisposeScope();
        const int Many = 4000;
        var values = Values(Mask(new StepPosition(1), 10, Many, 0, probability: 0.25));

        values.Distinct().Order().ShouldBe([0f, 1 / 0.75f]);
        var kept = values.Count(v => v != 0);
        ((double)kept).ShouldBe(0.75 * 10 * Many, 5 * Math.Sqrt(10 * Many * 0.75 * 0.25)); // five standard errors of a binomial count
    }

    /// <summary>On a GPU the mask is made by operators; they run on the CPU too.</summary>
    [Theory]
    [InlineData(0.5, ScalarType.Float32)]
    [InlineData(0.25, ScalarType.Float64)]
    [InlineData(0.2, ScalarType.BFloat16)]
    [InlineData(1e-3, ScalarType.Float32)]
    public void Mask_ByOperators_IsTheSame(double probability, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var dropout = new CounterDropout(
            "fc", probability, 1000, firstUnit: 300, new StepPosition(7) { Step = 3, FirstSample = 1L << 40 });

        var mask = dropout.MaskByOperators([50, 700], type, CPU);

        mask.dtype.ShouldBe(type);
        mask.ne(dropout.Mask([50, 700], type)).sum().item<long>().ShouldBe(0);
    }

    [Fact]
    public void Evaluation_ChangesNothing()
    {
        using var scope = NewDisposeScope();
        var dropout = new CounterDropout("layer", 0.5, Units, 0, new StepPosition(1));
        dropout.eval();

        Values(dropout.call(ones(2, Units))).ShouldAllBe(value => value == 1);
    }

    [Fact]
    public void Gradient_PassesKeptUnitsOnly()
    {
        using var scope = NewDisposeScope();
        var input = ones(2, Units).requires_grad_();
        var output = new CounterDropout("layer", 0.5, Units, 0, new StepPosition(1)).call(input);
        output.sum().backward();

        Values(input.grad!).ShouldBe(Values(output.detach()));
    }

    private static Tensor Mask(
        StepPosition position, int samples, int units, int firstUnit, string layer = "layer", double probability = 0.5) =>
        new CounterDropout(layer, probability, Math.Max(units, Units), firstUnit, position).call(ones(samples, units));

    private static float[] Values(Tensor tensor) => tensor.contiguous().data<float>().ToArray();

    private static void Same(Tensor actual, Tensor expected) => Values(actual).ShouldBe(Values(expected));
}
