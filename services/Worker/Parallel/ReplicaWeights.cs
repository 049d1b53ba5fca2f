using Cluster.Worker.Collectives;

namespace Cluster.Worker.Parallel;

/// <summary>Makes sure that ranks which should hold the same weights do.</summary>
internal static class ReplicaWeights
{
    /// <summary>Replicas that start apart stay apart, and their sums mean nothing.</summary>
    /// <exception cref="InvalidOperationException">A rank's weights differ from rank 0's.</exception>
    public static void RequireEqual(ICollectiveGroup group, IReadOnlyList<LocalParameter> parameters)
    {
        var mine = WeightsHash.Of(parameters);
        var all = new byte[mine.Length * group.WorldSize];
        group.AllGather<byte>(mine, all, "weights");
        for (var rank = 0; rank < group.WorldSize; rank++)
        {
            if (!all.AsSpan(rank * mine.Length, mine.Length).SequenceEqual(all.AsSpan(0, mine.Length)))
                throw new InvalidOperationException(
                    $"rank {rank} starts with other weights than rank 0; all ranks must be built from the same seed, checkpoint or file");
        }
    }
}
