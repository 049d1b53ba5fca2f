using Cluster.Contracts.V1;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Training.Optimizers;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training.Optimizers;

public sealed class FlatOptimizerTests
{
    public static TheoryData<string> Names => ["sgd", "adam", "adamw", "rmsprop"];

    [Theory]
    [MemberData(nameof(Names))]
    public void Steps_AreThoseOfTheSingleParametersToTheBit(string name)
    {
        var spec =
            new OptimizerSpec { Name = name, Momentum = 0.9, WeightDecay = 1e-2, Beta1 = 0.9, Beta2 = 0.99, Epsilon = 1e-8, Decay = 0.9 };
        using var scope = NewDisposeScope();
        using var flat = Trainings.Single("resnet18", ScalarType.Float32);
        using var single = Trainings.Single("resnet18", ScalarType.Float32);
        using var optimizer = new FlatOptimizer(flat.Parameters, whole => OptimizerFactory.Create(spec, whole));
        using var expected = OptimizerFactory.Create(spec, single.Parameters);
        for (var step = 0; step < 3; step++)
        {
            single.ForwardBackward(Trainings.Batch(single, ScalarType.Float32, step));
            expected.Step(0.01, step);
            flat.ForwardBackward(Trainings.Batch(flat, ScalarType.Float32, step));
            optimizer.Step(0.01, step);
        }

        Values(flat.Parameters).ShouldBe(Values(single.Parameters));
        optimizer.State.Select(state => (state.Parameter, state.Slot))
            .ShouldBe(expected.State.Select(state => (state.Parameter, state.Slot)));
        foreach (var (state, other) in optimizer.State.Zip(expected.State))
        {
            state.Tensor.shape.ShouldBe(other.Tensor.shape, state.Parameter);
            Trainings.Values(state.Tensor).ShouldBe(Trainings.Values(other.Tensor), state.Parameter);
        }
    }

    /// <summary>As when a checkpoint is loaded: the step goes on from there.</summary>
    [Fact]
    public void StateAndWeights_AreTheOptimizersOwn()
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var weights = (Tensor[])[ones(3), ones(2, 2)];
        LocalParameter[] parameters = [
            .. weights.Select((weight, i) => new LocalParameter($"p{i}", weight, weight.shape, new long[weight.dim()], IsOwner: true))];
        using var optimizer = new FlatOptimizer(parameters, whole => new Sgd(whole, momentum: 1, weightDecay: 0, nesterov: false));
        weights[1].fill_(5);
        optimizer.State[1].Tensor.fill_(2);
        foreach (var weight in weights)
            weight.grad = ones_like(weight);

        optimizer.Step(1, 0);

        Trainings.Values(weights[0]).ShouldAllBe(value => value == 0); // 1 − (0 + 1)
        Trainings.Values(weights[1]).ShouldAllBe(value => value == 2); // 5 − (2 + 1)
    }

    /// <summary>A stage of a pipeline may be all pooling.</summary>
    [Fact]
    public void Create_OfNoParameters_StepsNothing()
    {
        using var ranks = new Ranks("a");
        ranks.Run(group =>
        {
            using var optimizer = OptimizerFactory.Create(
                new Hyperparameters { Optimizer = new OptimizerSpec { Name = "sgd", Momentum = 0.9 } }, [], group);
            optimizer.Step(0.1, 0);
            optimizer.State.ShouldBeEmpty();
        });
    }

    private static double[] Values(IEnumerable<LocalParameter> parameters) => [.. parameters.SelectMany(p => Trainings.Values(p.Tensor))];
}
