using System.Globalization;

namespace Cluster.Bench.Training;

/// <summary>How far two steps from the same weights on the same batch lie apart, in loss and gradient.</summary>
/// <param name="Loss">Relative.</param>
/// <param name="Gradient">‖g − g′‖ / ‖g′‖ over the whole network.</param>
/// <param name="Worst">The same of the parameter where it is largest.</param>
/// <param name="WorstParameter">That one's name.</param>
internal sealed record StepDifference(double Loss, double Gradient, double Worst, string WorstParameter)
{
    // Float32's rounding is 6e-8. A loss is a mean of samples' losses, each after some tens of layers; summed in another order it differs
    // by a few times that.
    private const double LossLimit = 1e-5;

    /// <summary>
    /// Whether this is what rounding explains between steps whose images lie alike: the same kernels on the same numbers, but for our own
    /// layers and the BLAS's choice for the CPU.
    /// </summary>
    public bool IsRounding => Loss <= LossLimit && Gradient <= 1e-3 && Worst <= 5e-2;

    /// <summary>
    /// The same where one side's images lie otherwise, so that every convolution adds up in another order: where an activation lies within
    /// rounding of the kink of a ReLU or a pooling the sides send its share different ways. PyTorch's own contiguous and channels-last
    /// steps are 0.010 (resnet18), 0.030 (googlenet_tv) and 0.034 (mobilenet_v2) of the gradient apart on such a batch.
    /// </summary>
    public bool IsRoundingBetweenLayouts => Loss <= LossLimit && Gradient <= 0.1;

    /// <summary>
    /// Of steps in a narrower type, both held to the same step in float32: whether this one is as near to it as another's rounding brings
    /// that one.
    /// </summary>
    /// <param name="other">The peer's in the same type.</param>
    /// <param name="rounding">Half of the type's spacing at 1. The mean of many samples' losses, of each of which it is a part, is
    /// nearer.</param>
    public bool IsAsNearAs(StepDifference other, double rounding) => Loss <= rounding && Gradient <= (2 * other.Gradient) + 1e-3;

    /// <exception cref="InvalidOperationException">They have not the same parameters.</exception>
    public static StepDifference Between(
        double ourLoss, IReadOnlyDictionary<string, float[]> ours, double peerLoss, IReadOnlyDictionary<string, float[]> peer)
    {
        if (ours.Keys.Concat(peer.Keys).FirstOrDefault(
            name => !ours.ContainsKey(name) || !peer.ContainsKey(name) || ours[name].Length != peer[name].Length) is { } odd)
            throw new InvalidOperationException($"{odd} is not a parameter of both networks in the same size");
        var parts = ours.Keys.Select(name => (Name: name, Squares: Squares(ours[name], peer[name]))).ToList();
        var worst = parts.MaxBy(part => Relative(part.Squares));
        var all = parts.Aggregate(
            (Difference: 0.0, Whole: 0.0), (sum, part) => (sum.Difference + part.Squares.Difference, sum.Whole + part.Squares.Whole));
        return new StepDifference(Math.Abs(ourLoss - peerLoss) / Math.Abs(peerLoss), Relative(all), Relative(worst.Squares), worst.Name);
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"loss {Loss:0.0e+0}, gradient {Gradient:0.0e+0}, worst {Worst:0.0e+0} in {WorstParameter}");

    private static (double Difference, double Whole) Squares(float[] ours, float[] peer)
    {
        var (difference, whole) = (0.0, 0.0);
        for (var i = 0; i < ours.Length; i++)
        {
            var d = (double)ours[i] - peer[i];
            difference += d * d;
            whole += (double)peer[i] * peer[i];
        }

        return (difference, whole);
    }

    private static double Relative((double Difference, double Whole) squares) =>
        squares.Whole == 0 ? (squares.Difference == 0 ? 0 : double.PositiveInfinity) : Math.Sqrt(squares.Difference / squares.Whole);
}
