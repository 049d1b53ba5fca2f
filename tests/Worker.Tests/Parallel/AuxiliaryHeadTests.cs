using Cluster.Models;
using Cluster.Models.Initialization;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>A network with auxiliary heads minimises the main loss and its heads' weighted ones, in every split.</summary>
public sealed class AuxiliaryHeadTests
{
    [Fact]
    public void ForwardBackward_HasTheGradientOfTheWeightedSumAndReportsTheMainLoss()
    {
        using var scope = NewDisposeScope();
        using var network = new NetworkWithHeads();
        using var partition = new SingleDevice(new NetworkWithHeads(), Trainings.CrossEntropy);
        var batch = Trainings.Batch(partition, ScalarType.Float64, step: 1);
        var losses = network.Outputs(batch.Images).Select(logits => nn.functional.cross_entropy(logits, batch.Labels)).ToArray();
        (losses[0] + (losses[1] * 0.3) + (losses[2] * 0.7)).backward();

        var outcome = Trainings.Outcome(partition, batch);

        outcome.Loss.ShouldBe(losses[0].item<double>(), 1e-14);
        foreach (var (name, parameter) in network.named_parameters())
        {
            var actual = partition.Parameters.Single(p => p.Name == name).Tensor.grad!;
            // sums of a few hundred terms of the order of 10⁻²
            Trainings.Values(actual).ShouldBe(Trainings.Values(parameter.grad!), 1e-14, name);
            Trainings.Values(actual).Max(Math.Abs).ShouldBeGreaterThan(1e-4, name);
        }
    }

    [Theory]
    [InlineData("aa", 1)]
    [InlineData("ab", 2)]
    public void DataParallel_HasTheLossesAndGradientsOfOneDevice(string placement, int passes)
    {
        using var single = new SingleDevice(new NetworkWithHeads(), Trainings.CrossEntropy);
        var expected = Step(single, passes: 1);
        using var ranks = new Ranks(placement);
        var steps = ranks.Run(group =>
        {
            using var partition = DataParallel.CreateAsync(
                new NetworkWithHeads(), Trainings.CrossEntropy, group, new GradientOptions { BucketBytes = 1024 }, syncBatchNorm: true,
                CancellationToken.None).GetAwaiter().GetResult();
            var step = Step(partition, passes, group);
            partition.SentDuringBackward.ShouldBeGreaterThan(0); // the heads' hooks report too
            return step;
        });
        foreach (var (loss, gradients) in steps)
        {
            loss.ShouldBe(expected.Loss, 1e-13);
            foreach (var (name, values) in gradients)
                values.ShouldBe(expected.Gradients[name], 1e-13, name);
        }
    }

    [Fact]
    public void Evaluate_LooksAtTheMainOutputAlone()
    {
        using var scope = NewDisposeScope();
        using var partition = new SingleDevice(new NetworkWithHeads(), Trainings.CrossEntropy);
        partition.Network.eval();
        var batch = Trainings.Batch(partition, ScalarType.Float64, step: 1);

        partition.Evaluate(batch)
            .LossSum.ShouldBe(Trainings.CrossEntropy(partition.Network.call(batch.Images), batch.Labels).item<double>(), 1e-12);
    }

    private static (double Loss, Dictionary<string, double[]> Gradients) Step(
        ITrainingPartition partition, int passes, ICollectiveGroup? group = null)
    {
        using var scope = NewDisposeScope();
        var outcome = Trainings.Outcome(
            partition, Trainings.Batch(partition, ScalarType.Float64, step: 1) with { AccumulationSteps = passes }, group);
        return (outcome.Loss, Trainings.Gradients(partition).ToDictionary(g => g.Name, g => g.Values));
    }

    /// <summary>One hidden layer, whose units the output and two heads see.</summary>
    private sealed class NetworkWithHeads : ImageClassifier
    {
        private readonly Linear body = nn.Linear(28 * 28, 8, dtype: ScalarType.Float64);
        private readonly Linear fc = nn.Linear(8, 10, dtype: ScalarType.Float64);
        private readonly Linear aux1 = nn.Linear(8, 10, dtype: ScalarType.Float64);
        private readonly Linear aux2 = nn.Linear(8, 10, dtype: ScalarType.Float64);

        public NetworkWithHeads()
            : base("heads", new ClassifierShape(1, 28, 10), new StepPosition(Trainings.Seed))
        {
            RegisterComponents();
            Initialize(_ => new Distribution.Gaussian(0.05));
        }

        public override IReadOnlyList<double> AuxiliaryWeights => [0.3, 0.7];

        public override IReadOnlyList<Tensor> Outputs(Tensor images)
        {
            var hidden = body.call(images.flatten(1)).relu();
            return training ? [fc.call(hidden), aux1.call(hidden), aux2.call(hidden)] : [fc.call(hidden)];
        }

        public override Tensor forward(Tensor input) => Outputs(input)[0];
    }
}
