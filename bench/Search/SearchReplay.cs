using Cluster.Search;

namespace Cluster.Bench.Search;

/// <summary>Searches over a recorded table in simulated time, in which an epoch of any setting on one device takes one.</summary>
/// <param name="table">What each setting comes to.</param>
/// <param name="order">Which setting each trial is.</param>
/// <param name="devices">Trials that train at once.</param>
internal sealed class SearchReplay(SearchTable table, int[] order, int devices)
{
    /// <summary>How many epochs have been trained when a trial is first found as good as wanted; null: none ever is.</summary>
    /// <param name="policy">How trials are chosen.</param>
    /// <param name="wanted">An accuracy.</param>
    public int? EpochsTo(SearchPolicy policy, double wanted)
    {
        var search = HyperparameterSearch.New(policy, new SearchLimits(order.Length, devices));
        var running = new PriorityQueue<(int Trial, int Length), (int End, int Trial)>();
        var reached = new int[order.Length];
        var (now, trained) = (0, 0);
        Start(search.Begin());
        while (running.TryDequeue(out var next, out var at))
        {
            now = at.End;
            trained += next.Length - reached[next.Trial];
            reached[next.Trial] = next.Length;
            var accuracy = At(next.Trial, next.Length);
            if (accuracy >= wanted)
                return trained;
            Start(search.Apply(new TrialReport.Reached(next.Trial, next.Length, accuracy)));
        }

        return null;

        void Start(IEnumerable<SearchAction> actions)
        {
            foreach (var action in actions)
            {
                if (action is SearchAction.Create(var made, var first))
                    running.Enqueue((made, first), (now + first, made));
                else if (action is SearchAction.Continue(var trial, var length))
                    running.Enqueue((trial, length), (now + length - reached[trial], trial));
            }
        }
    }

    /// <summary>The same of successive halving: all trials to the first rung, then the best of them to the next, and so on.</summary>
    public int? EpochsToByHalving(IReadOnlyList<int> rungs, double divisor, double wanted)
    {
        var (trials, trained, before) = (Enumerable.Range(0, order.Length).ToList(), 0, 0);
        foreach (var length in rungs)
        {
            foreach (var trial in trials)
            {
                trained += length - before;
                if (At(trial, length) >= wanted)
                    return trained;
            }

            trials = [.. trials.OrderByDescending(trial => At(trial, length)).Take(Math.Max(1, (int)(trials.Count / divisor)))];
            before = length;
        }

        return null;
    }

    private double At(int trial, int length) => table.Rows[order[trial]].Accuracies[length - 1];
}
