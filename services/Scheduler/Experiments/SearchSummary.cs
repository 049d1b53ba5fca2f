using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Search;

namespace Cluster.Scheduler.Experiments;

/// <summary>A search as people see it.</summary>
internal static class SearchSummary
{
    public static SearchStanding Of(ExperimentRow experiment, SearchRow row)
    {
        var state = row.State;
        var reached = state.Lengths.Zip(state.Rungs, (length, entries) => (Length: length, Entries: entries)).ToList();
        return new SearchStanding
        {
            Searcher = row.Searcher,
            Phase = row.Phase,
            Metric = row.Metric,
            SmallerIsBetter = row.SmallerIsBetter,
            MaxTrials = state.Limits.MaxTrials,
            MaxConcurrent = state.Limits.MaxConcurrent,
            Rungs = { reached.Select(rung => new Rung { Epochs = rung.Length, Trials = rung.Entries.Length }) },
            Stopped = Count(TrialPhase.Stopped),
            Failed = Count(TrialPhase.Failed),
            Invalid = Count(TrialPhase.Invalid),
            Best = BestOf(experiment, row),
        };

        int Count(TrialPhase phase) => state.Trials.Count(trial => trial.Phase == phase);
    }

    private static BestTrial? BestOf(ExperimentRow experiment, SearchRow row) =>
        row.State.Best is { } best
            ? new BestTrial
            {
                JobId = TrialIds.JobOf(experiment.Owner, experiment.RequestId, best.Trial).ToString(),
                Metric = row.SmallerIsBetter ? best.Score : -best.Score,
                Epochs = best.Length,
            }
            : null;
}
