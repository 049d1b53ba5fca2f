using System.Globalization;

namespace Cluster.Bench.Training;

/// <summary>How far two steps from the same weights on the same batch lie apart, in loss and gradient.</summary>
/// <param name="Loss">Relative.</param>
/// <param name="Gradient">‖g − g′‖ / ‖g′‖ over the whole network.</param>
/// <param name="Worst">The same of the parameter where it is largest.</param>
/// <param name="WorstParameter">That one's name.</param>
internal sealed record StepDifference(double Loss, double Gradient, double Worst, string WorstParameter)
{
    // Float32's rounding is 6e-8. A loss is a mean of samples' losses, each after some tens of layers; summed in another order it differs by a few times that.
    private const double LossLimit = 1e-5;

    // A gradient passes those layers twice, and where an activation lies within rounding of ReLU's or a pooling's kink the two sides route one pixel's share differently:
    // 1e-3 to 1e-2 of a parameter's gradient in deep nets with small batches, while a step that computes something else is off by 1e-1 or more.
    private const double GradientLimit = 5e-3;
    private const double WorstLimit = 5e-2;

    public bool IsRounding => Loss <= LossLimit && Gradient <= GradientLimit && Worst <= WorstLimit;

    /// <exception cref="InvalidOperationException">They have not the same parameters.</exception>
    public static StepDifference Between(double ourLoss, IReadOnlyDictionary<string, float[]> ours, double peerLoss, IReadOnlyDictionary<string, float[]> peer)
    {
        if (ours.Keys.Concat(peer.Keys).FirstOrDefault(name => !ours.ContainsKey(name) || !peer.ContainsKey(name) || ours[name].Length != peer[name].Length) is { } odd)
            throw new InvalidOperationException($"{odd} is not a parameter of both networks in the same size");
        var parts = ours.Keys.Select(name => (Name: name, Squares: Squares(ours[name], peer[name]))).ToList();
        var worst = parts.MaxBy(part => Relative(part.Squares));
        var all = parts.Aggregate((Difference: 0.0, Whole: 0.0), (sum, part) => (sum.Difference + part.Squares.Difference, sum.Whole + part.Squares.Whole));
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
