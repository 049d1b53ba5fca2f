using Cluster.Contracts.V1;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training.Optimizers;

public sealed class OptimizerTests(PyTorchOptimizers pyTorch) : IClassFixture<PyTorchOptimizers>
{
    public static TheoryData<int> Cases => [.. Enumerable.Range(0, PyTorchOptimizers.Cases.Count)];

    public static TheoryData<int> CasesByElement =>
        [.. PyTorchOptimizers.Cases.Index().Where(c => c.Item.Spec.Name != "lars").Select(c => c.Index)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Steps_EqualPyTorchs(int which)
    {
        using var scope = NewDisposeScope();
        var expected = pyTorch.Results[which];

        var (weight, state) = Train(PyTorchOptimizers.Cases[which].Spec, 0, PyTorchOptimizers.Elements);

        // The same few operations an element and step, at most in another order: a few units of 2⁻⁵³ each.
        weight.ShouldBe(expected.Weight, 1e-13);
        state.Keys.ShouldBe(expected.State.Keys, ignoreOrder: true);
        foreach (var (slot, values) in state)
            values.ShouldBe(expected.State[slot], 1e-13, slot);
    }

    [Theory]
    [MemberData(nameof(CasesByElement))]
    public void Steps_OfASlice_AreTheSliceOfTheWholesSteps(int which)
    {
        using var scope = NewDisposeScope();
        var (whole, wholeState) = Train(PyTorchOptimizers.Cases[which].Spec, 0, PyTorchOptimizers.Elements);

        var (slice, sliceState) = Train(PyTorchOptimizers.Cases[which].Spec, 8, 10);

        slice.ShouldBe(whole[8..18]);
        foreach (var (slot, values) in sliceState)
            values.ShouldBe(wholeState[slot][8..18]);
    }

    /// <summary>
    /// In float32 a step is one pass of our own; in float64 it is libtorch's operators, which the tests above hold to PyTorch.
    /// </summary>
    [Theory]
    [MemberData(nameof(CasesByElement))]
    public void FusedSteps_AreTheOperatorsStepsUpToRounding(int which)
    {
        using var scope = NewDisposeScope();
        var (expected, expectedState) = Train(PyTorchOptimizers.Cases[which].Spec, 0, PyTorchOptimizers.Elements);

        var (weight, state) = Train(PyTorchOptimizers.Cases[which].Spec, 0, PyTorchOptimizers.Elements, dtype: ScalarType.Float32);

        // Twelve steps of at most ten roundings of 2⁻²⁴ each on values of a few units: 7e-6 · |value|. Adam's first steps divide a gradient
        // by its own root: relative too.
        weight.ShouldBe(expected, 5e-5);
        foreach (var (slot, values) in state)
            values.ShouldBe(expectedState[slot], 5e-5, slot);
        weight.ShouldNotBe(expected); // it was another computation
    }

    [Theory]
    [MemberData(nameof(CasesByElement))]
    public void FusedSteps_OfASlice_AreTheSliceOfTheWholesSteps(int which)
    {
        using var scope = NewDisposeScope();
        var (whole, wholeState) = Train(PyTorchOptimizers.Cases[which].Spec, 0, PyTorchOptimizers.Elements, dtype: ScalarType.Float32);

        var (slice, sliceState) = Train(PyTorchOptimizers.Cases[which].Spec, 3, 20, dtype: ScalarType.Float32);

        slice.ShouldBe(whole[3..23]);
        foreach (var (slot, values) in sliceState)
            values.ShouldBe(wholeState[slot][3..23]);
    }

    [Fact]
    public void UnknownName_IsRefused() =>
        Should.Throw<JobMisconfiguredException>(() => OptimizerFactory.Create(new OptimizerSpec { Name = "lion" }, []))
            .Message.ShouldBe("hyperparameters.optimizer.name is lion; choose sgd, adam, adamw, rmsprop or lars");

    /// <summary>Biases and normalisation: steps of plain momentum, without decay.</summary>
    [Fact]
    public void Lars_OfATensorWithOneDim_IsMomentumAlone()
    {
        using var scope = NewDisposeScope();
        var (weight, velocity) = (PyTorchOptimizers.Weight(), new double[PyTorchOptimizers.Elements]);
        for (var step = 0; step < PyTorchOptimizers.Steps; step++)
        {
            velocity = [.. velocity.Zip(PyTorchOptimizers.Gradient(step), (v, g) => (0.9 * v) + (PyTorchOptimizers.Rate(step) * g))];
            weight = [.. weight.Zip(velocity, (w, v) => w - v)];
        }

        var spec = new OptimizerSpec { Name = "lars", TrustCoefficient = 0.02, Momentum = 0.9, WeightDecay = 0.1 };
        Train(spec, 0, PyTorchOptimizers.Elements, isMatrix: false).Weight.ShouldBe(weight, 1e-13);
    }

    [Fact]
    public void Lars_OfAWeightOfZeros_Leaves()
    {
        using var scope = NewDisposeScope();
        var weight = zeros(2, 2, dtype: ScalarType.Float64).requires_grad_();
        using var optimizer = new Lars(
            [new LocalParameter("w", weight, [2, 2], [0, 0], IsOwner: true)], trustCoefficient: 0.02, momentum: 0, weightDecay: 0.1);
        weight.grad = ones(2, 2, dtype: ScalarType.Float64);

        optimizer.Step(0.5, 0);

        weight.data<double>().ToArray().ShouldBe([-0.5, -0.5, -0.5, -0.5]);
    }

    [Fact]
    public void Lars_OfAPartOfATensor_IsRefused()
    {
        using var scope = NewDisposeScope();
        var half = new LocalParameter("fc6.weight", zeros(2, 2), [4, 2], [2, 0], IsOwner: true);

        Should.Throw<JobMisconfiguredException>(() => OptimizerFactory.Create(new OptimizerSpec { Name = "lars" }, [half]))
            .Message.ShouldBe(
                "hyperparameters.optimizer.name is lars, which measures whole tensors, but a device holds only a part of fc6.weight; "
                    + "use another optimizer, or parallelism data");
    }

    /// <param name="spec">The optimizer.</param>
    /// <param name="first">First element of the part that is trained.</param>
    /// <param name="count">Its elements.</param>
    /// <param name="isMatrix">As lars takes a layer's weights to be.</param>
    /// <param name="dtype">Of weights, gradients and state.</param>
    private static (double[] Weight, Dictionary<string, double[]> State) Train(
        OptimizerSpec spec, int first, int count, bool isMatrix = true, ScalarType dtype = ScalarType.Float64)
    {
        long[] shape = spec.Name == "lars" && isMatrix ? [4, count / 4] : [count];
        long[] whole = spec.Name == "lars" ? shape : [PyTorchOptimizers.Elements];
        var weight = tensor(PyTorchOptimizers.Weight()[first..(first + count)], dtype: dtype).reshape(shape).requires_grad_();
        using var optimizer = OptimizerFactory.Create(
            spec, [new LocalParameter("w", weight, whole, [first, .. new long[shape.Length - 1]], IsOwner: true)]);
        for (var step = 0; step < PyTorchOptimizers.Steps; step++)
        {
            weight.grad = tensor(PyTorchOptimizers.Gradient(step)[first..(first + count)], dtype: dtype).reshape(shape);
            optimizer.Step(PyTorchOptimizers.Rate(step), step);
        }

        optimizer.State.ShouldAllBe(state => state.Parameter == "w");
        return (Trainings.Values(weight), optimizer.State.ToDictionary(s => s.Slot, s => Trainings.Values(s.Tensor)));
    }
}
