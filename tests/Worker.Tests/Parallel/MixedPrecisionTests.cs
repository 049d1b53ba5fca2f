using Cluster.Models;
using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>Computation in bfloat16 with float32 masters, against computation in float32.</summary>
/// <remarks>
/// bfloat16 has 8 significant bits: a rounding errs by at most u = 2⁻⁸ of the value. What a network makes of such errors is measured, in
/// float64: the gradient's change, in norm, when each weight is rounded once (0.3 % for lenet5; 22 % for resnet18, whose last
/// normalisations are over eight values and have steep slopes). Computation rounds some more times a layer: its output, its normalised
/// output, and backward the gradients of its output, its input and its weights. Six independent errors add up to √6 of one, which is the
/// bound (measured: 1.6 and 1.5). That the error is not less than u/4 shows that it is bfloat16 that is computed in: float32 would err by
/// 2⁻²⁰.
/// </remarks>
public sealed class MixedPrecisionTests
{
    private const double Rounding = 1.0 / (1 << 8);

    [Theory]
    [InlineData("lenet5")]
    [InlineData("resnet18")] // with normalisation and shortcuts
    public void Gradients_AreFloat32sUpToTheRoundingsOnTheWay(string network)
    {
        var (exact, exactLoss) = Step(
            new SingleDevice(Trainings.Network(network, ScalarType.Float32), Trainings.CrossEntropy), ScalarType.Float32);
        var (rounded, _) = Step(WithRoundedWeights(network), ScalarType.Float64);
        var (narrow, narrowLoss) = Step(InBFloat16(network), ScalarType.BFloat16);

        Distance(narrow, exact).ShouldBeInRange(Rounding / 4, Math.Sqrt(6) * Distance(rounded, exact));
        narrowLoss.ShouldBe(exactLoss, 4 * Rounding * exactLoss); // a mean over samples, whose scores err by some roundings each
    }

    [Theory]
    [InlineData("lenet5")]
    [InlineData("resnet18")]
    public void Training_LearnsAsInFloat32(string network)
    {
        using var wide = new SingleDevice(Trainings.Network(network, ScalarType.Float32), Trainings.CrossEntropy);
        using var narrow = InBFloat16(network);

        var expected = Trainings.Train(wide, ScalarType.Float32, 40)[^10..].Average();
        var losses = Trainings.Train(narrow, ScalarType.BFloat16, 40);

        losses[0].ShouldBeGreaterThan(1.5); // ten classes: ln 10 = 2.3, give or take
        // Trajectories part as roundings grow; what is learnt in 40 steps does not.
        losses[^10..].Average().ShouldBe(expected, 0.1 * losses[0]);
        losses[^10..].Average().ShouldBeLessThan(0.6 * losses[0]);
    }

    [Fact]
    public void StepsBelowBFloat16sSpacing_AddUpInTheMasters_AndReachTheCopies()
    {
        using var partition = InBFloat16("lenet5");
        var master = partition.Parameters[0].Tensor;
        var copy = partition.Network.parameters().First();
        using (no_grad())
            master.fill_(1);
        using Scalar step = 1e-4; // the spacing above 1 is 2⁻⁷ = 7.8e-3

        for (var i = 0; i < 100; i++)
        {
            using var guard = no_grad();
            master.add_(step);
        }

        Evaluate(partition);
        master.dtype.ShouldBe(ScalarType.Float32);
        master.max().item<float>().ShouldBe(1.01f, 1e-5f);
        copy.dtype.ShouldBe(ScalarType.BFloat16);
        // the nearest to 1.01; adding to it directly would have left 1
        copy.max().to(ScalarType.Float32).item<float>().ShouldBe(1 + (1f / 128));
    }

    [Theory]
    [InlineData("lenet5_1998")] // layers of its own
    [InlineData("mobilenet_v2")] // ReLU6
    [InlineData("googlenet")] // local response normalisation, auxiliary heads, dropout
    public void Step_OfAModel_RunsAndNarrowsAllButBatchNormalisation(string name) => StepNarrowed(name);

    [Fact]
    [Trait("Round", "full")]
    public void Step_OfEveryModel_RunsAndNarrowsAllButBatchNormalisation()
    {
        foreach (var name in ModelRegistry.Names)
            StepNarrowed(name);
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("abc")]
    public void Ranks_HoldTheSameMasters_AndTrainLikeOneDevice(string placement)
    {
        using var single = InBFloat16("resnet18");
        var expected = Trainings.Train(single, ScalarType.BFloat16, 1)[0];
        using var ranks = new Ranks(placement);
        var results = ranks.Run(group =>
        {
            using var partition = DataParallel.CreateAsync(
                Trainings.Network("resnet18", ScalarType.Float32), Trainings.CrossEntropy, group,
                new GradientOptions { BucketBytes = 64 << 10 }, syncBatchNorm: true,
                CancellationToken.None, inBFloat16: true).GetAwaiter().GetResult();
            var losses = Trainings.Train(partition, ScalarType.BFloat16, 8, group: group);
            partition.SentDuringBackward.ShouldBeGreaterThan(0);
            return (losses, partition.Parameters.SelectMany(p => Trainings.Values(p.Tensor)).ToArray());
        });

        foreach (var (losses, weights) in results)
        {
            weights.ShouldBe(results[0].Item2);
            losses.ShouldBe(results[0].losses);
            // from the same weights; statistics are summed in another order, and a last bit here is 2⁻⁸
            losses[0].ShouldBe(expected, 0.1 * expected);
        }
    }

    [Fact]
    public void Accumulation_AddsPassesUpInFloat32()
    {
        using var once = InBFloat16("lenet5");
        using var often = InBFloat16("lenet5");
        var whole = Gradients(once, accumulationSteps: 1);
        var parts = Gradients(often, accumulationSteps: Trainings.BatchSize);

        // Each pass's gradient is rounded once; the sum over passes is not rounded to 8 bits again, which would show as values that
        // bfloat16 holds exactly.
        parts.ShouldContain(value => (float)value != (float)(BFloat16)(float)value);
        // of terms that do not cancel out: a rounding for each sample, and one for the whole batch
        Distance(parts, whole).ShouldBeLessThan(2 * Rounding);
    }

    private static SingleDevice InBFloat16(string network) =>
        new(Trainings.Network(network, ScalarType.Float32), Trainings.CrossEntropy, inBFloat16: true);

    private static SingleDevice WithRoundedWeights(string network)
    {
        var partition = new SingleDevice(Trainings.Network(network, ScalarType.Float64), Trainings.CrossEntropy);
        using var guard = no_grad();
        foreach (var parameter in partition.Parameters)
            parameter.Tensor.copy_(parameter.Tensor.to(ScalarType.BFloat16));
        return partition;
    }

    private static void StepNarrowed(string name)
    {
        using var scope = NewDisposeScope();
        var network = ModelRegistry.Create(name, new Dictionary<string, object> { ["inputSize"] = 32L, ["classes"] = 10L }, seed: 1);
        using var partition = new SingleDevice(network, Trainings.CrossEntropy, inBFloat16: true);
        network.train();
        var images = ones(2, network.Shape.Channels, 32, 32, ScalarType.BFloat16);
        double.IsFinite(partition.ForwardBackward(new TrainingBatch(images, tensor([1L, 2L]), 2, 0)).LossSum).ShouldBeTrue(name);

        var normalised = network.named_modules().Where(m => m.module is BatchNormalization).Select(m => m.name + ".").ToList();
        foreach (var (parameter, tensor) in network.named_parameters())
            tensor.dtype.ShouldBe(
                normalised.Exists(parameter.StartsWith) ? ScalarType.Float32 : ScalarType.BFloat16, $"{name}: {parameter}");
        partition.Parameters.ShouldAllBe(p => p.Tensor.dtype == ScalarType.Float32 && p.Tensor.grad!.isfinite().all().item<bool>(), name);
        network.Buffers().ShouldAllBe(b => b.Buffer.dtype == ScalarType.Float32, name);
    }

    private static (double[] Gradients, double Loss) Step(SingleDevice partition, ScalarType images)
    {
        using (partition)
        {
            using var scope = NewDisposeScope();
            partition.Network.train();
            var outcome = Trainings.Outcome(partition, Trainings.Batch(partition, images, step: 0));
            partition.Parameters.ShouldAllBe(p => p.Tensor.grad!.dtype == p.Tensor.dtype && p.Tensor.dtype != ScalarType.BFloat16);
            return ([.. Trainings.Gradients(partition).SelectMany(g => g.Values)], outcome.Loss);
        }
    }

    private static double[] Gradients(SingleDevice partition, int accumulationSteps)
    {
        using var scope = NewDisposeScope();
        partition.Network.train();
        partition.ForwardBackward(Trainings.Batch(partition, ScalarType.BFloat16, step: 0) with { AccumulationSteps = accumulationSteps });
        return [.. Trainings.Gradients(partition).SelectMany(g => g.Values)];
    }

    private static void Evaluate(SingleDevice partition)
    {
        using var scope = NewDisposeScope();
        partition.Network.eval();
        partition.Evaluate(Trainings.Batch(partition, ScalarType.BFloat16, step: 0));
    }

    private static double Distance(double[] values, double[] reference) => Norm(values.Zip(reference, (a, b) => a - b)) / Norm(reference);

    private static double Norm(IEnumerable<double> values) => Math.Sqrt(values.Sum(value => value * value));
}
