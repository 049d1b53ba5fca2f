using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Cluster.Models.Initialization;

/// <summary>Initial values as a pure function of (seed, parameter name, element index in the undivided tensor).</summary>
/// <remarks>
/// A rank that holds rows of a tensor computes just those and gets what the undivided net has there, without talking to anyone.
/// </remarks>
public static class SeededInitialization
{
    /// <summary>Below this many elements a second thread costs more than it brings.</summary>
    private const long ParallelElements = 1 << 16;

    /// <summary>Overwrites <paramref name="parameter"/>: a contiguous float32 or float64 tensor in the CPU's memory.</summary>
    public static void Fill(Tensor parameter, ParameterShard shard, Distribution distribution, ulong seed)
    {
        var rowElements = shard.GlobalShape.Skip(1).Aggregate(1L, (product, size) => product * size);
        var first = (ulong)(shard.FirstRow * rowElements);
        var key = CounterRandom.Key(seed, CounterRandom.Word("initialization"), CounterRandom.Word(shard.Name));
        Func<long, double> draw = distribution switch
        {
            Distribution.Gaussian g => i => g.StandardDeviation * CounterRandom.Normal(key, first + (ulong)i),
            Distribution.Symmetric s => i => s.Bound * ((2 * CounterRandom.Uniform(key, first + (ulong)i)) - 1),
            Distribution.Constant c => _ => c.Value,
            _ => throw new ArgumentOutOfRangeException(nameof(distribution), distribution, "no such distribution"),
        };
        var elements = parameter.numel();
        switch (parameter.dtype)
        {
            case ScalarType.Float32:
                Store(parameter, Draw(elements, i => (float)draw(i)));
                break;
            case ScalarType.Float64:
                Store(parameter, Draw(elements, draw));
                break;
            default:
                throw new ArgumentException(
                    $"parameter {shard.Name} is {parameter.dtype}; float32 or float64 is needed", nameof(parameter));
        }
    }

    private static T[] Draw<T>(long elements, Func<long, T> draw)
    {
        var values = new T[elements];
        if (elements < ParallelElements)
        {
            for (var i = 0L; i < elements; i++)
                values[i] = draw(i);
        }
        else
        {
            Parallel.For(0L, elements, i => values[i] = draw(i));
        }

        return values;
    }

    private static void Store<T>(Tensor parameter, T[] values)
        where T : unmanaged
    {
        using var guard = no_grad();
        MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(parameter.bytes);
    }
}
