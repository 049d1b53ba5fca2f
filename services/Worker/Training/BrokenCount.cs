using Cluster.Worker.Data.Loading;

namespace Cluster.Worker.Training;

/// <summary>Counts the broken pictures of a pass over a part, of all ranks together. Each is visited once a pass, by one rank.</summary>
/// <param name="limit">In one pass.</param>
/// <param name="logger">Names them.</param>
internal sealed partial class BrokenCount(int limit, ILogger logger)
{
    private const string OtherRank = "another rank has met a broken picture and names it in its log";

    private int _isNew;
    private string _last = OtherRank;

    /// <summary>Of all ranks, as far as they have agreed.</summary>
    public long InPass { get; private set; }

    public void BeginPass() => (InPass, _last) = (0, OtherRank);

    /// <summary>What this rank has met.</summary>
    public void Note(IReadOnlyList<string> broken)
    {
        foreach (var picture in broken)
            LogBroken(picture);
        _isNew += broken.Count;
        _last = broken.Count > 0 ? broken[^1] : _last;
    }

    /// <summary>What this rank has met since it was last asked.</summary>
    public int TakeNew()
    {
        var count = _isNew;
        _isNew = 0;
        return count;
    }

    /// <summary>Adds what all ranks have met.</summary>
    /// <exception cref="JobMisconfiguredException">There are too many. Every rank throws it at the same step.</exception>
    public void Agree(long ofAllRanks)
    {
        InPass += ofAllRanks;
        if (InPass > limit)
            throw BrokenPictures.TooMany(InPass, limit, _last);
    }

    [LoggerMessage(LogLevel.Warning, "{Picture}; the next whole one stands in its place")]
    private partial void LogBroken(string picture);
}
