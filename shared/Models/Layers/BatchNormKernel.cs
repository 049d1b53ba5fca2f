using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Cluster.Models.Layers;

/// <summary>
/// Batch normalisation where a pixel's channels lie together: ŷ = γ(x − μ)/σ + β and its gradients, two passes over memory each way.
/// </summary>
/// <remarks>
/// libtorch's sums go over all pixels of the batch in float32 one after the other, so that the gradients of a network's first layers,
/// which nearly cancel out, are lost in rounding: 4 % of MobileNet v2's whole gradient. Here a few rows are summed in float32 and what they
/// give in float64. A row is one pixel's channels, repeated until they fill whole vectors.
/// </remarks>
internal sealed unsafe class BatchNormKernel
{
    // Rows summed in float32: a sum of so many rounds by 16 · 6e-8 of its terms at most.
    private const int RowsInSingle = 32;

    // Floats of a row whose sums fit into a core's registers; a row is a multiple of it.
    private const int Tile = 64;

    // Floats that are worth a thread of their own.
    private const int LeastShare = 1 << 16;

    private readonly long _pixels;
    private readonly int _channels;
    private readonly int _width; // floats of a row
    private readonly long _rows; // whole ones
    private readonly float[] _mean; // repeated to a row, as all that a channel has
    private readonly float[] _inverse; // 1/σ

    /// <param name="shape">(N, C, H, W) of the input, not empty.</param>
    public BatchNormKernel(long[] shape)
    {
        _pixels = shape[0] * shape[2] * shape[3];
        _channels = checked((int)shape[1]);
        _width = _channels;
        while (_width % Tile != 0)
            _width += _channels;
        _rows = _pixels * _channels / _width;
        (_mean, _inverse) = (new float[_width], new float[_width]);
    }

    /// <summary>The output, and the statistics that backward needs.</summary>
    /// <param name="input">Address of x.</param>
    /// <param name="weight">Address of γ.</param>
    /// <param name="bias">Address of β.</param>
    /// <param name="epsilon">Added to σ².</param>
    /// <param name="output">Address of ŷ.</param>
    /// <returns>μ and the sum of squared distances from it, of each channel.</returns>
    public (double[] Mean, double[] Squares) Forward(nint input, nint weight, nint bias, double epsilon, nint output)
    {
        // Distances from what a value is about, lest the square of a large mean hides the variance.
        var near = Repeated(MeanOfFew((float*)input));
        var sums = Sum((float*)input, (float*)input, near, ofDistances: true);
        var (mean, squares) = (new double[_channels], new double[_channels]);
        var (scale, shift) = (new float[_width], new float[_width]);
        for (var c = 0; c < _channels; c++)
        {
            var distance = sums.Plain[c] / _pixels;
            mean[c] = near[c] + distance;
            squares[c] = Math.Max(0, sums.Products[c] - (_pixels * distance * distance));
            var inverse = 1 / Math.Sqrt((squares[c] / _pixels) + epsilon);
            Repeat(_mean, c, (float)mean[c]);
            Repeat(_inverse, c, (float)inverse);
            Repeat(scale, c, (float)(((float*)weight)[c] * inverse));
            Repeat(shift, c, ((float*)bias)[c]);
        }

        Split((begin, end) => Normalise((float*)input, scale, shift, (float*)output, begin, end));
        return (mean, squares);
    }

    /// <summary>∂/∂x, ∂/∂γ and ∂/∂β from g = ∂/∂ŷ.</summary>
    /// <param name="input">Address of x.</param>
    /// <param name="weight">Address of γ.</param>
    /// <param name="outputGradient">Address of g.</param>
    /// <param name="inputGradient">Where ∂/∂x goes.</param>
    /// <param name="weightGradient">Where ∂/∂γ goes.</param>
    /// <param name="biasGradient">Where ∂/∂β goes.</param>
    public void Backward(
        nint input, nint weight, nint outputGradient, nint inputGradient, nint weightGradient, nint biasGradient)
    {
        var sums = Sum((float*)outputGradient, (float*)input, _mean, ofDistances: false);
        var (scale, mean, slope) = (new float[_width], new float[_width], new float[_width]);
        for (var c = 0; c < _channels; c++)
        {
            double inverse = _inverse[c];
            ((float*)weightGradient)[c] = (float)(sums.Products[c] * inverse);
            ((float*)biasGradient)[c] = (float)sums.Plain[c];
            // ∂/∂x = γ/σ (g − mean g − (x − μ)/σ² · mean g(x − μ)): Ioffe and Szegedy 2015, §3, the chain rule's terms together.
            Repeat(scale, c, (float)(((float*)weight)[c] * inverse));
            Repeat(mean, c, (float)(sums.Plain[c] / _pixels));
            Repeat(slope, c, (float)(sums.Products[c] / _pixels * inverse * inverse));
        }

        Split((begin, end) => Derive((float*)input, (float*)outputGradient, (scale, mean, slope), (float*)inputGradient, begin, end));
    }

    private void Repeat(float[] row, int channel, float value)
    {
        for (var i = channel; i < _width; i += _channels)
            row[i] = value;
    }

    private float[] Repeated(double[] perChannel)
    {
        var row = new float[_width];
        for (var c = 0; c < _channels; c++)
            Repeat(row, c, (float)perChannel[c]);
        return row;
    }

    /// <summary>Of a few pixels, each channel's: as near to the batch's as need be.</summary>
    private double[] MeanOfFew(float* input)
    {
        const int Few = 4;
        var mean = new double[_channels];
        var pixels = Math.Min(_pixels, Few);
        for (var pixel = 0L; pixel < pixels; pixel++, input += _channels)
        {
            for (var c = 0; c < _channels; c++)
                mean[c] += input[c] / (double)pixels;
        }

        return mean;
    }

    private void Split(Action<long, long> body) => CpuWork.Split(_rows + 1, Math.Max(1, LeastShare / _width), body);

    /// <summary>
    /// Of each channel Σ a and Σ a·d, with d = b − near; or, of distances, Σ d and Σ d². The threads' parts are joined in their order, so
    /// that the same number of threads gives the same bits.
    /// </summary>
    private (double[] Plain, double[] Products) Sum(float* a, float* b, float[] near, bool ofDistances)
    {
        var parts = new SortedList<long, (double[] Plain, double[] Products)>();
        Split((begin, end) =>
        {
            var (plain, products) = (new double[_width], new double[_width]);
            for (var row = begin; row < end; row += RowsInSingle)
                SumRows(a, b, near, ofDistances, (row, Math.Min(end, row + RowsInSingle)), plain, products);
            lock (parts)
                parts.Add(begin, (plain, products));
        });
        var sums = (Plain: new double[_channels], Products: new double[_channels]);
        foreach (var (plain, products) in parts.Values)
        {
            for (var i = 0; i < _width; i += _channels)
            {
                for (var c = 0; c < _channels; c++)
                {
                    sums.Plain[c] += plain[i + c];
                    sums.Products[c] += products[i + c];
                }
            }
        }

        return sums;
    }

    private void SumRows(
        float* a, float* b, float[] near, bool ofDistances, (long Begin, long End) rows, double[] plain, double[] products)
    {
        var whole = Math.Min(rows.End, _rows);
        fixed (float* about = near)
        {
            for (var c = 0; c < _width; c += Tile)
                SumTile(a, b, about, ofDistances, (rows.Begin * _width, whole * _width), c, plain, products);
            if (rows.End <= _rows)
                return;
            for (var (at, i) = (_rows * _width, 0); at < _pixels * _channels; at++, i++)
            {
                var distance = b[at] - about[i];
                var factor = ofDistances ? distance : a[at];
                plain[i] += factor;
                products[i] += (double)factor * distance;
            }
        }
    }

    /// <summary>Some columns of a few rows, their sums in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // called too seldom to be compiled well in its turn
    private void SumTile(
        float* a, float* b, float* near, bool ofDistances, (long Begin, long End) rows, int column, double[] plain, double[] products)
    {
        const int Step = 16;
        var width = _width;
        var (near0, near1) = (Vector512.Load(near + column), Vector512.Load(near + column + Step));
        var (near2, near3) = (Vector512.Load(near + column + (2 * Step)), Vector512.Load(near + column + (3 * Step)));
        var (sum0, sum1, sum2, sum3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var (product0, product1, product2, product3) = (sum0, sum0, sum0, sum0);
        for (var at = rows.Begin + column; at < rows.End; at += width)
        {
            var distance0 = Vector512.Load(b + at) - near0;
            var distance1 = Vector512.Load(b + at + Step) - near1;
            var distance2 = Vector512.Load(b + at + (2 * Step)) - near2;
            var distance3 = Vector512.Load(b + at + (3 * Step)) - near3;
            var (factor0, factor1, factor2, factor3) = (distance0, distance1, distance2, distance3);
            if (!ofDistances)
            {
                (factor0, factor1) = (Vector512.Load(a + at), Vector512.Load(a + at + Step));
                (factor2, factor3) = (Vector512.Load(a + at + (2 * Step)), Vector512.Load(a + at + (3 * Step)));
            }

            (sum0, sum1, sum2, sum3) = (sum0 + factor0, sum1 + factor1, sum2 + factor2, sum3 + factor3);
            product0 = Vector512.FusedMultiplyAdd(factor0, distance0, product0);
            product1 = Vector512.FusedMultiplyAdd(factor1, distance1, product1);
            product2 = Vector512.FusedMultiplyAdd(factor2, distance2, product2);
            product3 = Vector512.FusedMultiplyAdd(factor3, distance3, product3);
        }

        fixed (double* sums = plain, ofProducts = products)
        {
            Add(sum0, sums + column);
            Add(sum1, sums + column + Step);
            Add(sum2, sums + column + (2 * Step));
            Add(sum3, sums + column + (3 * Step));
            Add(product0, ofProducts + column);
            Add(product1, ofProducts + column + Step);
            Add(product2, ofProducts + column + (2 * Step));
            Add(product3, ofProducts + column + (3 * Step));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<float> values, double* to)
    {
        var (lower, upper) = Vector512.Widen(values);
        (Vector512.Load(to) + lower).Store(to);
        (Vector512.Load(to + Vector512<double>.Count) + upper).Store(to + Vector512<double>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Normalise(float* input, float[] scales, float[] shifts, float* output, long begin, long end)
    {
        var (width, all) = (_width, _pixels * _channels);
        fixed (float* mean = _mean, scale = scales, shift = shifts)
        {
            for (var at = begin * width; at < Math.Min(end * width, all); at += width)
            {
                for (var c = 0; c < Math.Min(width, all - at); c += PartialVector.Length)
                {
                    var left = all - at - c;
                    var distance = PartialVector.Load(input + at + c, left) - Vector512.Load(mean + c);
                    PartialVector.Store(
                        Vector512.FusedMultiplyAdd(distance, Vector512.Load(scale + c), Vector512.Load(shift + c)), output + at + c, left);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Derive(
        float* input, float* outputGradient, (float[] Scale, float[] Mean, float[] Slope) terms, float* inputGradient, long begin, long end)
    {
        var (width, all) = (_width, _pixels * _channels);
        fixed (float* middle = _mean, scale = terms.Scale, mean = terms.Mean, slope = terms.Slope)
        {
            for (var at = begin * width; at < Math.Min(end * width, all); at += width)
            {
                for (var c = 0; c < Math.Min(width, all - at); c += PartialVector.Length)
                {
                    var left = all - at - c;
                    var distance = PartialVector.Load(input + at + c, left) - Vector512.Load(middle + c);
                    var rest = PartialVector.Load(outputGradient + at + c, left) - Vector512.Load(mean + c)
                        - (distance * Vector512.Load(slope + c));
                    PartialVector.Store(Vector512.Load(scale + c) * rest, inputGradient + at + c, left);
                }
            }
        }
    }
}
