using TorchSharp;

namespace Cluster.Worker.Collectives.Reductions;

/// <summary>How values of one type are reduced over the ranks, two at a time, where they lie.</summary>
/// <param name="elementBytes">Size of a value.</param>
/// <param name="code">Tells types and operators apart on the wire.</param>
internal abstract class Reduction(int elementBytes, int code)
{
    private const int Operators = 4;

    /// <summary>Their order is part of the wire format.</summary>
    private static readonly Type[] Types = [typeof(float), typeof(double), typeof(BFloat16), typeof(Half), typeof(long)];

    private static readonly string[] TypeNames = ["float32", "float64", "bfloat16", "float16", "int64"];

    public int ElementBytes { get; } = elementBytes;

    /// <summary>Never 0, which stands for no reduction.</summary>
    public int Code { get; } = code;

    public bool IsFloat32 => (Code - 1) / Operators == 0;

    /// <exception cref="NotSupportedException">Values of such a type are not reduced.</exception>
    public static Reduction Of<T>(ReduceOp op, int ranks)
        where T : unmanaged
    {
        var type = Array.IndexOf(Types, typeof(T));
        var code = 1 + (type * Operators) + (int)op;
        if (!Enum.IsDefined(op))
            throw new ArgumentOutOfRangeException(
                nameof(op), op, $"op is {(int)op}; it is one of {string.Join(", ", Enum.GetNames<ReduceOp>())}");
        return type switch
        {
            0 => new NumberReduction<float>(op, ranks, code),
            1 => new NumberReduction<double>(op, ranks, code),
            2 => new BFloat16Reduction(op, ranks, code),
            3 => new NumberReduction<Half>(op, ranks, code),
            4 => new NumberReduction<long>(op, ranks, code),
            _ => throw new NotSupportedException(
                $"values of type {typeof(T).Name} are not reduced; use one of {string.Join(", ", TypeNames)}"),
        };
    }

    /// <summary>For messages: <c>mean of float32</c>.</summary>
    public static string Words(int code)
    {
        var (type, op) = Math.DivRem(code - 1, Operators);
        return type < TypeNames.Length
            ? $"{((ReduceOp)op).ToString().ToLowerInvariant()} of {TypeNames[type]}"
            : $"unknown reduction {code}";
    }

    /// <summary>target[i] = left[i] ∘ right[i]; <paramref name="target"/> may be either.</summary>
    public abstract void Combine(nint left, nint right, nint target, int count);

    /// <summary>What is left to do to a value once all ranks' are combined.</summary>
    public abstract void Finish(nint values, int count);
}
