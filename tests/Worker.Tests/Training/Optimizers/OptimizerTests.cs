using Cluster.Contracts.V1;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training.Optimizers;

public sealed class OptimizerTests(PyTorchOptimizers pyTorch) : IClassFixture<PyTorchOptimizers>
{
    public static TheoryData<int> Cases => [.. Enumerable.Range(0, PyTorchOptimizers.Cases.Count)];

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
    [MemberData(nameof(Cases))]
    public void Steps_OfASlice_AreTheSliceOfTheWholesSteps(int which)
    {
        using var scope = NewDisposeScope();
        var (whole, wholeState) = Train(PyTorchOptimizers.Cases[which].Spec, 0, PyTorchOptimizers.Elements);

        var (slice, sliceState) = Train(PyTorchOptimizers.Cases[which].Spec, 8, 10);

        slice.ShouldBe(whole[8..18]);
        foreach (var (slot, values) in sliceState)
            values.ShouldBe(wholeState[slot][8..18]);
    }

    [Fact]
    public void UnknownName_IsRefused() =>
        Should.Throw<JobMisconfiguredException>(() => OptimizerFactory.Create(new OptimizerSpec { Name = "lion" }, []))
            .Message.ShouldBe("hyperparameters.optimizer.name is lion; choose sgd or adam");

    private static (double[] Weight, Dictionary<string, double[]> State) Train(OptimizerSpec spec, int first, int count)
    {
        var weight = tensor(PyTorchOptimizers.Weight()[first..(first + count)]).requires_grad_();
        using var optimizer = OptimizerFactory.Create(spec, [new LocalParameter("w", weight, [PyTorchOptimizers.Elements], [first], IsOwner: true)]);
        for (var step = 0; step < PyTorchOptimizers.Steps; step++)
        {
            weight.grad = tensor(PyTorchOptimizers.Gradient(step)[first..(first + count)]);
            optimizer.Step(PyTorchOptimizers.Rate(step), step);
        }

        optimizer.State.ShouldAllBe(state => state.Parameter == "w");
        return (weight.data<double>().ToArray(), optimizer.State.ToDictionary(s => s.Slot, s => s.Tensor.data<double>().ToArray()));
    }
}
