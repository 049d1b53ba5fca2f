using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Cluster.Models;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Training.Optimizers;

/// <summary>What an optimizer does to a vector of weights. A rule is a struct, so that it is compiled into the loop.</summary>
internal unsafe interface IUpdateRule
{
    /// <summary>Tensors that accompany a weight: 0, 1 or 2.</summary>
    static abstract int States { get; }

    /// <param name="gradient">Of so many weights as a vector has.</param>
    /// <param name="weight">Changed in place, as the states are.</param>
    /// <param name="first">The first state; not to be touched by a rule without.</param>
    /// <param name="second">The second; likewise.</param>
    void Apply(float* gradient, float* weight, float* first, float* second);
}

/// <summary>
/// An optimizer's step in one pass over gradient, weight and state, where libtorch's operators take a pass each: the step's cost is that of
/// memory. Every sum and product is rounded by itself, so a weight's bits depend neither on its place in the tensor nor on the number of
/// threads.
/// </summary>
internal static unsafe class FusedUpdate
{
    /// <summary>Elements that are worth a thread of their own: some tens of microseconds.</summary>
    private const long LeastAThread = 1 << 17;

    /// <summary>Whether both are float32 in the CPU's memory without gaps; other tensors are for libtorch's operators.</summary>
    public static bool Fits(Tensor weight, Tensor gradient) => IsPlain(weight) && IsPlain(gradient);

    /// <param name="rule">What to do.</param>
    /// <param name="weight">Changed in place.</param>
    /// <param name="gradient">Of the same shape; may lie in memory that other ranks read, and is left as it is.</param>
    /// <param name="states">As many as the rule has, of the same shape, changed in place.</param>
    public static void Run<TRule>(TRule rule, Tensor weight, Tensor gradient, params ReadOnlySpan<Tensor> states)
        where TRule : struct, IUpdateRule
    {
        var (weights, gradients) = (TensorMemory.AddressOf(weight), TensorMemory.AddressOf(gradient));
        var first = TRule.States > 0 ? TensorMemory.AddressOf(states[0]) : 0;
        var second = TRule.States > 1 ? TensorMemory.AddressOf(states[1]) : 0;
        CpuWork.Split(weight.numel(), LeastAThread,
            (begin, end) => Run(rule, (float*)weights, (float*)gradients, (float*)first, (float*)second, begin, end));
    }

    /// <summary>Σ g² in double precision, in one pass; the same bits for any number of threads.</summary>
    public static double SumOfSquares(Tensor gradient)
    {
        var (address, elements) = (TensorMemory.AddressOf(gradient), gradient.numel());
        var sums = new double[(elements + LeastAThread - 1) / LeastAThread];
        CpuWork.Split(sums.Length, 1, (begin, end) =>
        {
            for (var part = begin; part < end; part++)
                sums[part] = SumOfSquares((float*)address, part * LeastAThread, Math.Min(elements, (part + 1) * LeastAThread));
        });
        return sums.Sum();
    }

    internal static bool IsPlain(Tensor tensor) =>
        tensor.dtype == ScalarType.Float32 && tensor.device_type == DeviceType.CPU && tensor.is_contiguous() && tensor.numel() > 0;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // called too seldom to be compiled well in its turn
    private static void Run<TRule>(TRule rule, float* weights, float* gradients, float* first, float* second, long begin, long end)
        where TRule : struct, IUpdateRule
    {
        var i = begin;
        for (; i + Vector512<float>.Count <= end; i += Vector512<float>.Count)
            rule.Apply(gradients + i, weights + i, first + i, second + i);
        if (i < end)
            RunEnd(rule, weights + i, gradients + i, first + i, second + i, (int)(end - i));
    }

    /// <summary>Fewer elements than a vector has: in room of their own, and back.</summary>
    private static void RunEnd<TRule>(TRule rule, float* weights, float* gradients, float* first, float* second, int count)
        where TRule : struct, IUpdateRule
    {
        var length = Vector512<float>.Count;
        var room = stackalloc float[4 * length];
        var rows = stackalloc float*[] { gradients, weights, first, second };
        var used = 2 + TRule.States;
        for (var row = 0; row < used; row++)
            new Span<float>(rows[row], count).CopyTo(new Span<float>(room + (row * length), count));
        rule.Apply(room, room + length, room + (2 * length), room + (3 * length));
        for (var row = 1; row < used; row++)
            new Span<float>(room + (row * length), count).CopyTo(new Span<float>(rows[row], count));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double SumOfSquares(float* values, long begin, long end)
    {
        Vector512<double> a = default, b = default, c = default, d = default; // independent, so that one sum need not wait for another
        var i = begin;
        for (; i + (2 * Vector512<float>.Count) <= end; i += 2 * Vector512<float>.Count)
        {
            var (lower, upper) = Vector512.Widen(Vector512.Load(values + i));
            a += lower * lower;
            b += upper * upper;
            (lower, upper) = Vector512.Widen(Vector512.Load(values + i + Vector512<float>.Count));
            c += lower * lower;
            d += upper * upper;
        }

        var sum = Vector512.Sum(a + b + (c + d));
        for (; i < end; i++)
            sum += (double)values[i] * values[i];
        return sum;
    }
}
