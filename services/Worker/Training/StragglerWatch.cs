using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Training;

/// <summary>Finds ranks that are slow for long: whom a step takes far longer than the others, without its waiting for them.</summary>
/// <remarks>
/// Steps are equally long on all ranks, since all wait for the slowest. So each measures what it does itself, and now and then they
/// compare. Only ranks with equal work can be compared: those that split nothing but the batch.
/// </remarks>
internal sealed class StragglerWatch
{
    /// <summary>How often ranks compare: seldom enough to cost nothing, and means of so long leave out what passes.</summary>
    public static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(10);

    /// <summary>Machines of one kind differ by some per cent, and by some tens where others use them, too.</summary>
    private const double TimesTheMedian = 1.5;

    /// <summary>So many looks in a row: a checkpoint, or a neighbour's busy half minute, makes no straggler.</summary>
    private const int LooksInARow = 3;

    /// <summary>Slices that are not of equal size differ by no more than a quarter then.</summary>
    private const int FewestSamples = 4;

    /// <summary>Less than that a step is no loss to speak of, and is within what a busy machine adds to one rank or another.</summary>
    private static readonly TimeSpan LeastExcess = TimeSpan.FromMilliseconds(5);

    // The scheduler forgets with its process.
    private static readonly TimeSpan ToldAgainAfter = TimeSpan.FromMinutes(1);

    private readonly ICollectiveGroup _group;
    private readonly TimeProvider _time;
    private readonly bool _compares;
    private readonly int[] _slowLooks;
    private long _lookedAt;
    private TimeSpan _own;
    private int _steps;
    private (string Slow, long At) _told;

    public StragglerWatch(JobSpec spec, ICollectiveGroup group, TimeProvider time)
    {
        (_group, _time, _lookedAt, _slowLooks) = (group, time, time.GetTimestamp(), new int[group.WorldSize]);
        _compares = spec.Parallelism == Parallelism.Data && group.WorldSize > 1
            && spec.Hyperparameters.GlobalBatchSize >= FewestSamples * group.WorldSize;
        _told = ("", _lookedAt);
    }

    /// <summary>Whether this rank wants all to compare.</summary>
    public bool WantsLook => _compares && _group.Rank == 0 && _steps > 0 && _time.GetElapsedTime(_lookedAt) >= LookInterval;

    /// <param name="own">What a step has taken this rank without its waiting for others.</param>
    public void Note(TimeSpan own)
    {
        _own += own;
        _steps++;
    }

    /// <summary>Compares. A call on every rank.</summary>
    /// <returns>What the scheduler is to be told; null: nothing new, or another rank tells it.</returns>
    public RankPaces? Look()
    {
        var all = new double[_group.WorldSize];
        _group.AllGather<double>([(_own / Math.Max(1, _steps)).TotalSeconds], all, "paces");
        (_own, _steps, _lookedAt) = (TimeSpan.Zero, 0, _time.GetTimestamp());
        if (_group.Rank != 0)
            return null;
        var paces = new RankPaces();
        for (var rank = 0; rank < all.Length; rank++)
        {
            var others = MedianOfOthers(all, rank);
            _slowLooks[rank] = IsSlow(all[rank], others) ? _slowLooks[rank] + 1 : 0;
            if (_slowLooks[rank] >= LooksInARow)
                paces.Slow.Add(new SlowRank { Rank = rank, StepSeconds = all[rank], OthersSeconds = others });
        }

        var slow = string.Join(' ', paces.Slow.Select(each => each.Rank));
        if (slow == _told.Slow && (slow.Length == 0 || _time.GetElapsedTime(_told.At) < ToldAgainAfter))
            return null;
        _told = (slow, _lookedAt);
        return paces;
    }

    private static bool IsSlow(double seconds, double others) =>
        seconds > TimesTheMedian * others && seconds - others > LeastExcess.TotalSeconds;

    private static double MedianOfOthers(double[] seconds, int rank)
    {
        var others = seconds.Where((_, other) => other != rank).Order().ToArray();
        return (others[(others.Length - 1) / 2] + others[others.Length / 2]) / 2;
    }
}
