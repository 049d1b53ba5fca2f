using Cluster.Worker.Collectives;

namespace Cluster.Worker.Training;

/// <summary>What ranks tell each other once a step, so that all of them decide alike; of one rank, or added up over all.</summary>
/// <param name="StopRequests">Ranks that have been asked to stop: all must leave at the same step, or the others would wait for
/// them.</param>
/// <param name="BrokenPictures">Met since it was told last.</param>
/// <param name="UnfinishedCheckpoints">Ranks whose part of the last checkpoint is still on its way to the store.</param>
/// <param name="PaceRequests">Ranks that want all to compare how long steps take them: only rank 0 does.</param>
internal readonly record struct RankNews(long StopRequests, long BrokenPictures, long UnfinishedCheckpoints, long PaceRequests = 0)
{
    /// <summary>An exchange of its own, where no other takes the news along.</summary>
    public RankNews OfAllRanks(ICollectiveGroup group)
    {
        if (group.WorldSize == 1)
            return this;
        Span<long> sums = [StopRequests, BrokenPictures, UnfinishedCheckpoints, PaceRequests];
        group.AllReduce(sums, "news");
        return new RankNews(sums[0], sums[1], sums[2], sums[3]);
    }
}
