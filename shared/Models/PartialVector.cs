using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Cluster.Models;

/// <summary>
/// Vectors from and to the end of a row, which may have fewer elements left than a vector: then the vector's others are zero, and are not
/// written.
/// </summary>
public static unsafe class PartialVector
{
    /// <summary>Elements of a vector.</summary>
    public static int Length => Vector512<float>.Count;

    /// <param name="from">The first element.</param>
    /// <param name="left">Elements of the row from there on, at least one.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* from, long left) =>
        left >= Length ? Vector512.Load(from) : LoadEnd(from, (int)left);

    /// <inheritdoc cref="Load"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* to, long left)
    {
        if (left >= Length)
            value.Store(to);
        else
            StoreEnd(value, to, (int)left);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector512<float> LoadEnd(float* from, int left)
    {
        var line = stackalloc float[Length];
        Vector512<float>.Zero.Store(line);
        new Span<float>(from, left).CopyTo(new Span<float>(line, left));
        return Vector512.Load(line);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreEnd(Vector512<float> value, float* to, int left)
    {
        var line = stackalloc float[Length];
        value.Store(line);
        new Span<float>(line, left).CopyTo(new Span<float>(to, left));
    }
}
