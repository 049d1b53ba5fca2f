using Cluster.Models;

namespace Cluster.Worker.Data.Loading;

/// <summary>
/// The order in which an epoch visits the training samples: a function of (seed, epoch) alone, whatever the number of ranks.
/// </summary>
public static class EpochOrder
{
    /// <summary>A permutation of 0 … samples − 1 (Fisher and Yates).</summary>
    public static int[] Shuffled(ulong seed, int epoch, int samples)
    {
        var key = CounterRandom.Key(seed, CounterRandom.Word("epoch order"), (ulong)epoch);
        var order = InOrder(samples);
        for (var i = samples - 1; i > 0; i--)
        {
            var j = CounterRandom.Below(key, (ulong)i, i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }

    /// <summary>0 … samples − 1: for evaluation.</summary>
    public static int[] InOrder(int samples) => [.. Enumerable.Range(0, samples)];
}
