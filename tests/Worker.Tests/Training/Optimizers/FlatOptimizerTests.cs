using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
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
        using var optimizer = new FlatOptimizer(flat.Parameters, gradients: null, whole => OptimizerFactory.Create(spec, whole));
        using var expected = OptimizerFactory.Create(spec, single.Parameters);
        for (var step = 0; step < 3; step++)
        {
            single.ForwardBackward(Trainings.Batch(single, ScalarType.Float32, step));
            expected.Step(0.01, step);
            flat.ForwardBackward(Trainings.Batch(flat, ScalarType.Float32, step));
            optimizer.Step(0.01, step);
        }

        Values(flat.Parameters).ShouldBe(Values(single.Parameters));
        optimizer.State.Select(Key).ShouldBe(expected.State.Select(Key));
        foreach (var (state, other) in optimizer.State.Zip(expected.State))
        {
            state.Tensor.shape.ShouldBe(other.Tensor.shape, state.Parameter.Name);
            Trainings.Values(state.Tensor).ShouldBe(Trainings.Values(other.Tensor), state.Parameter.Name);
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
        using var optimizer = new FlatOptimizer(
            parameters, gradients: null, whole => new Sgd(whole, momentum: 1, weightDecay: 0, nesterov: false));
        weights[1].fill_(5);
        optimizer.State[1].Tensor.fill_(2);
        foreach (var weight in weights)
            weight.grad = ones_like(weight);

        optimizer.Step(1, 0);

        Trainings.Values(weights[0]).ShouldAllBe(value => value == 0); // 1 − (0 + 1)
        Trainings.Values(weights[1]).ShouldAllBe(value => value == 2); // 5 − (2 + 1)
    }

    /// <summary>Gradients in several buckets and, in a hybrid split, some in none.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Steps_WithGradientsInBuckets_ReadThemThereAndAreThoseOfTheSingleParametersToTheBit(bool hybrid)
    {
        var spec = new OptimizerSpec { Name = "adamw", WeightDecay = 1e-2, Beta1 = 0.9, Beta2 = 0.99, Epsilon = 1e-8 };
        using var ranks = new Ranks("aa");
        ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var flat = Split(group);
            using var single = Split(group);
            using var optimizer = new FlatOptimizer(
                flat.Parameters, flat.FlatGradients,
                whole => new Witness(whole, OptimizerFactory.Create(spec, whole), flat.FlatGradients!));
            using var expected = OptimizerFactory.Create(spec, single.Parameters);
            for (var step = 0; step < 3; step++)
            {
                single.ForwardBackward(Trainings.Batch(single, ScalarType.Float32, step));
                expected.Step(0.01, step);
                flat.ForwardBackward(Trainings.Batch(flat, ScalarType.Float32, step));
                optimizer.Step(0.01, step);
            }

            (flat.FlatGradients!.Layout.Buckets.Count > 1 || hybrid).ShouldBeTrue();
            (flat.FlatGradients.Parameters.Count < flat.Parameters.Count).ShouldBe(hybrid);
            Values(flat.Parameters).ShouldBe(Values(single.Parameters));
            var states = optimizer.State.ToDictionary(Key, state => Trainings.Values(state.Tensor));
            states.Count.ShouldBe(expected.State.Count);
            foreach (var state in expected.State)
                states[Key(state)].ShouldBe(Trainings.Values(state.Tensor), state.Parameter.Name);
        });

        ITrainingPartition Split(ICollectiveGroup group) =>
            hybrid ? Trainings.Hybrid("alexnet_owt", ScalarType.Float32, group) : Trainings.Data("alexnet_owt", ScalarType.Float32, group);
    }

    /// <summary>One device's, as on a GPU; in several passes, and with masters.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Steps_OfOneDeviceWithFlatGradients_ReadThemWhereBackwardAddsUp_AndAreThoseOfTheSingleParametersToTheBit(bool inBFloat16)
    {
        var spec = new OptimizerSpec { Name = "adamw", WeightDecay = 1e-2, Beta1 = 0.9, Beta2 = 0.99, Epsilon = 1e-8 };
        var images = inBFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        using var scope = NewDisposeScope();
        using ITrainingPartition flat = Single(flatGradients: true);
        using ITrainingPartition single = Single(flatGradients: false);
        using var optimizer = new FlatOptimizer(
            flat.Parameters, flat.FlatGradients, whole => new Witness(whole, OptimizerFactory.Create(spec, whole), flat.FlatGradients!));
        using var expected = OptimizerFactory.Create(spec, single.Parameters);
        for (var step = 0; step < 3; step++)
        {
            single.ForwardBackward(Trainings.Batch(single, images, step) with { AccumulationSteps = 2 });
            expected.Step(0.01, step);
            flat.ForwardBackward(Trainings.Batch(flat, images, step) with { AccumulationSteps = 2 });
            Trainings.Values(flat.GradientShare.ShouldHaveSingleItem()).Sum(Math.Abs).ShouldBeGreaterThan(0);
            flat.LocalGradient.ShouldHaveSingleItem();
            optimizer.Step(0.01, step);
        }

        Values(flat.Parameters).ShouldBe(Values(single.Parameters));

        SingleDevice Single(bool flatGradients) => new(
            Trainings.Network("resnet18", ScalarType.Float32), Trainings.CrossEntropy, inBFloat16, flatGradients);
    }

    /// <summary>Sees that the first tensor's gradient is the flat ones' own memory.</summary>
    private sealed class Witness(IReadOnlyList<LocalParameter> parameters, IOptimizer optimizer, FlatGradients gradients) : IOptimizer
    {
        public IReadOnlyList<OptimizerState> State => optimizer.State;

        public void Step(double learningRate, long step)
        {
            TensorMemory.AddressOf(parameters[0].Gradient).ShouldBe(TensorMemory.AddressOf(gradients.Flat));
            optimizer.Step(learningRate, step);
        }

        public void Dispose() => optimizer.Dispose();
    }

    private static (string Name, string Slot) Key(OptimizerState state) => (state.Parameter.Name, state.Slot);

    private static double[] Values(IEnumerable<LocalParameter> parameters) => [.. parameters.SelectMany(p => Trainings.Values(p.Tensor))];
}
