namespace Cluster.Worker.Data.Pictures;

/// <summary>
/// Which source pixels make each output pixel along one axis, and with what weights: bilinear interpolation, widened by the factor of
/// shrinking so that no pixel is passed over (PIL's BILINEAR, torchvision's antialias).
/// </summary>
internal sealed class FilterTaps
{
    private int[] first = [];
    private int[] counts = [];
    private float[] weights = [];
    private int stride;

    /// <param name="outputs">Output pixels.</param>
    /// <param name="start">Where the first one begins in the source.</param>
    /// <param name="step">Source pixels from one to the next.</param>
    /// <param name="low">First source pixel that may be read.</param>
    /// <param name="high">First that may not.</param>
    public void Lay(int outputs, double start, double step, int low, int high)
    {
        var radius = Math.Max(step, 1);
        stride = (2 * (int)Math.Ceiling(radius)) + 1;
        if (first.Length < outputs)
            (first, counts) = (new int[outputs], new int[outputs]);
        if (weights.Length < outputs * stride)
            weights = new float[outputs * stride];
        for (var i = 0; i < outputs; i++)
        {
            var centre = start + ((i + 0.5) * step);
            var from = Math.Clamp((int)Math.Floor(centre - radius + 0.5), low, high - 1);
            var to = Math.Clamp((int)Math.Floor(centre + radius + 0.5), from + 1, high);
            (first[i], counts[i]) = (from, Math.Min(to - from, stride));
            var row = weights.AsSpan(i * stride, counts[i]);
            var sum = 0.0;
            for (var k = 0; k < row.Length; k++)
            {
                var weight = Math.Max(0, 1 - Math.Abs((from + k + 0.5 - centre) / radius));
                row[k] = (float)weight;
                sum += weight;
            }

            for (var k = 0; k < row.Length; k++)
                row[k] = sum > 0 ? (float)(row[k] / sum) : 1f / row.Length;
        }
    }

    public int First(int output) => first[output];

    public ReadOnlySpan<float> Weights(int output) => weights.AsSpan(output * stride, counts[output]);
}
