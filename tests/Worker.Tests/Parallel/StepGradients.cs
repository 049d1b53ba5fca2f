using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>One float32 step of a split network against the float64 gradients from the same weights.</summary>
/// <remarks>
/// <para>
/// A gradient is a sum of terms, each of which has come through roundings of u = 2⁻²⁴, relative. Like a random walk these add up to
/// c·u·Σ|terms| with c of the order of the root of their number, at most √(8·28²) ≈ 79 in the widest sum here. Σ|terms| is taken over
/// samples, Σ_s |∂L_s|, in float64: what samples cancel is counted, since a split changes their order.
/// </para>
/// <para>
/// c is measured: the largest of all tensors' errors of one device in float32, over u·Σ|terms| (12 for alexnet, 30 for lenet5, whose
/// conv1.weight has the widest sums). Each tensor's own error would be a poor yardstick: it is a single draw, and a tensor on which one
/// device happens to err by a fraction of its usual error fails a split that errs as usual. So it was once seen, by 4.86·10⁻⁷, probably in
/// conv3.weight, where AlexNet's second tower gathers the channels of both: its error is that much, which is 8 u·Σ|terms| and nothing out
/// of the way. The split rounds as often, in another order: twice c.
/// </para>
/// </remarks>
internal static class StepGradients
{
    private const double Rounding = 1.0 / (1 << 24);

    public static void ShouldBeThoseOfOneDevice(string network, string placement, Func<ICollectiveGroup, ITrainingPartition> split)
    {
        using var single = Trainings.Single(network, ScalarType.Float32);
        var exact = Exact(network, single, Trainings.CrossEntropy);
        var terms = Terms(network, single);
        var c = Of(single, ScalarType.Float32).Max(g => Largest(g.Values, exact[g.Name]) / (Rounding * terms[g.Name].Max()));
        c.ShouldBeInRange(1, Math.Sqrt(Trainings.BatchSize * 28 * 28));

        using var ranks = new Ranks(placement);
        var byRank = ranks.Run(group =>
        {
            using var partition = split(group);
            return Of(partition, ScalarType.Float32);
        });
        var shapes = single.Parameters.ToDictionary(p => p.Name, p => p.GlobalShape);
        foreach (var (name, offset, values) in byRank.SelectMany(g => g))
        {
            // Rows of the undivided tensor: a part begins at offset[0] rows and is whole in the other dims.
            var first = (int)(offset[0] * (exact[name].Length / shapes[name][0]));
            Largest(values, exact[name].AsSpan(first, values.Length).ToArray())
                .ShouldBeLessThanOrEqualTo(2 * c * Rounding * terms[name].Max(), name);
            exact[name].Max(Math.Abs).ShouldBeGreaterThan(0, name);
        }

        byRank.SelectMany(g => g).Select(g => g.Name).Distinct().ShouldBe(shapes.Keys, ignoreOrder: true);
    }

    /// <summary>Σ_s |∂L_s| of every element, L_s the loss of sample s in its place in the batch.</summary>
    private static Dictionary<string, double[]> Terms(string network, ITrainingPartition weights)
    {
        var sums = weights.Parameters.ToDictionary(p => p.Name, p => new double[p.Tensor.numel()]);
        for (var sample = 0; sample < Trainings.BatchSize; sample++)
        {
            var at = sample;
            foreach (var (name, values) in Exact(
                network, weights, (logits, labels) => Trainings.CrossEntropy(logits.narrow(0, at, 1), labels.narrow(0, at, 1))))
            {
                for (var i = 0; i < values.Length; i++)
                    sums[name][i] += Math.Abs(values[i]);
            }
        }

        return sums;
    }

    private static Dictionary<string, double[]> Exact(string network, ITrainingPartition weights, SummedLoss loss)
    {
        using var exact = new SingleDevice(Trainings.Network(network, ScalarType.Float64), loss);
        using (no_grad())
        {
            foreach (var (wide, narrow) in exact.Parameters.Zip(weights.Parameters))
                wide.Tensor.copy_(narrow.Tensor.to(ScalarType.Float64));
        }

        return Of(exact, ScalarType.Float64).ToDictionary(g => g.Name, g => g.Values);
    }

    private static List<(string Name, IReadOnlyList<long> Offset, double[] Values)> Of(ITrainingPartition partition, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        partition.Network.train();
        partition.ForwardBackward(Trainings.Batch(partition, dtype, step: 1));
        return Trainings.Gradients(partition);
    }

    private static double Largest(double[] values, double[] reference) => values.Zip(reference, (a, b) => Math.Abs(a - b)).Max();
}
