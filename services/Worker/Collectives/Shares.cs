namespace Cluster.Worker.Collectives;

/// <summary>
/// How a buffer is divided where each rank keeps a part: in rank order and equally, as NCCL wants it, but for what is left over, which is
/// the last rank's too.
/// </summary>
/// <param name="Ranks">That have a share.</param>
/// <param name="Each">Elements of every share.</param>
/// <param name="Rest">Further elements of the last one, fewer than there are ranks in all.</param>
internal readonly record struct Shares(int Ranks, long Each, long Rest)
{
    /// <summary>Elements of the whole.</summary>
    public long Count => (Ranks * Each) + Rest;

    /// <summary>Elements of the last share, which is the longest.</summary>
    public long Largest => Each + Rest;

    public static Shares Of(long count, int ranks) => new(ranks, count / ranks, count % ranks);

    public (long Start, long Count) this[int rank] => (rank * Each, rank == Ranks - 1 ? Largest : Each);

    /// <summary>What consecutive ranks have together.</summary>
    public Shares Of(int first, int ranks) => new(ranks, Each, first + ranks == Ranks ? Rest : 0);

    /// <summary>
    /// What a rank's share has of the elements that lie from <paramref name="start"/> to <paramref name="start"/> + <paramref
    /// name="length"/> in every share.
    /// </summary>
    public (long Start, long Count) Portion(int rank, long start, long length)
    {
        var share = this[rank];
        return (share.Start + start, Math.Clamp(share.Count - start, 0, length));
    }
}
