using System.Collections.Immutable;

namespace Cluster.Search;

/// <summary>
/// A search over hyperparameters: hears what becomes of its trials, and says which to make, to let train on, and to stop.
/// </summary>
/// <remarks>
/// Decisions depend on the reports and their order only, so that a search that was written down and read again goes on as it would have.
/// A report that was heard before changes nothing. The rules are those of Determined's searchers, but for one: a paused trial stays
/// promotable until the search closes, since limits may be raised.
/// </remarks>
public sealed class HyperparameterSearch
{
    // Worse than whatever can be measured; finite, so that it can be written down.
    internal const double Worst = double.MaxValue;

    private readonly SearchPolicy _policy;
    private readonly List<TrialStanding> _trials;
    private readonly List<Rung> _rungs;
    private readonly Queue<int> _promoted;
    private SearchLimits _limits;
    private bool _isClosed;

    private HyperparameterSearch(SearchPolicy policy, SearchState state)
    {
        _policy = policy;
        (_limits, _isClosed) = (state.Limits, state.IsClosed);
        _trials = [.. state.Trials];
        _rungs = [.. state.Rungs.Select(entries => new Rung(entries))];
        _promoted = new Queue<int>(state.Promoted);
    }

    public SearchState State =>
        new(_limits, _policy.Rungs, [.. _trials], [.. _rungs.Select(rung => rung.Entries.ToImmutableArray())], [.. _promoted], _isClosed);

    private int Training => _trials.Count(trial => trial.Phase == TrialPhase.Training);

    private int Invalid => _trials.Count(trial => trial.Phase == TrialPhase.Invalid);

    /// <summary>A search without a trial yet: <see cref="Begin"/> makes the first.</summary>
    public static HyperparameterSearch New(SearchPolicy policy, SearchLimits limits) =>
        new(policy, new SearchState(
            limits, policy.Rungs, [], [.. policy.Rungs.Select(_ => ImmutableArray<RungEntry>.Empty)], [], IsClosed: false));

    /// <summary>Goes on where <see cref="State"/> was written down.</summary>
    public static HyperparameterSearch Restore(SearchPolicy policy, SearchState state) => new(policy, state);

    /// <summary>Makes as many trials as may train at once; none if there are some.</summary>
    public ImmutableArray<SearchAction> Begin() => Proceed([]);

    /// <summary>Goes on under other limits. Trials that train are left to.</summary>
    public ImmutableArray<SearchAction> Change(SearchLimits limits)
    {
        if (_isClosed)
            return [];
        _limits = limits;
        return Proceed([]);
    }

    public ImmutableArray<SearchAction> Apply(TrialReport report)
    {
        if (_isClosed || report.Trial >= _trials.Count || !IsNews(report))
            return [];
        var actions = new List<SearchAction>();
        switch (report)
        {
            case TrialReport.Reached { Metric: var metric } when double.IsFinite(metric):
                Judge(report.Trial, _policy.SmallerIsBetter ? metric : -metric, actions);
                break;
            case TrialReport.Reached:
                actions.Add(new SearchAction.Stop(report.Trial, "the metric is no finite number"));
                Fail(report.Trial, actions);
                break;
            case TrialReport.Failed:
                Fail(report.Trial, actions);
                break;
            case TrialReport.Invalid:
                foreach (var rung in _rungs)
                    rung.Remove(report.Trial);
                Set(report.Trial, TrialPhase.Invalid);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(report), report, "no such report");
        }

        return Proceed(actions);
    }

    /// <summary>Only what the search waits for; a trial may also fail, or be cancelled, while it is paused.</summary>
    private bool IsNews(TrialReport report) => (report, _trials[report.Trial]) switch
    {
        (TrialReport.Reached { Length: var length }, { Phase: TrialPhase.Training, Rung: var rung }) => length == _policy.Rungs[rung],
        (TrialReport.Failed or TrialReport.Invalid, { Phase: TrialPhase.Training or TrialPhase.Paused or TrialPhase.Promoted }) => true,
        _ => false,
    };

    private void Fail(int trial, List<SearchAction> actions)
    {
        var before = _trials[trial].Phase;
        Set(trial, TrialPhase.Failed);
        // One that was paused has its place in its rung already.
        if (before != TrialPhase.Paused)
            Judge(trial, Worst, actions);
    }

    /// <summary>A trial has come to its rung, or counts as if it had.</summary>
    private void Judge(int trial, double score, List<SearchAction> actions)
    {
        var (number, phase) = (_trials[trial].Rung, _trials[trial].Phase);
        var rung = _rungs[number];
        if (number == _rungs.Count - 1)
        {
            rung.Add(trial, score);
            if (phase != TrialPhase.Failed)
                Set(trial, TrialPhase.Completed);
        }
        else if (_policy.StopOnce)
        {
            if (rung.GoesOn(trial, score, _policy.Divisor))
                Promote(trial, actions);
            else if (phase != TrialPhase.Failed)
                Stop(trial, actions);
        }
        else
        {
            if (phase != TrialPhase.Failed)
                Set(trial, TrialPhase.Paused);
            if (rung.Promote(trial, score, _policy.Divisor) is { } promoted)
                Promote(promoted, actions);
        }
    }

    private void Promote(int trial, List<SearchAction> actions)
    {
        var failed = _trials[trial].Phase == TrialPhase.Failed;
        _trials[trial] = new TrialStanding(_trials[trial].Rung + 1, failed ? TrialPhase.Failed : TrialPhase.Promoted);
        if (failed)
            Judge(trial, Worst, actions);
        else
            _promoted.Enqueue(trial);
    }

    /// <summary>As much as the limits allow: who was promoted first, then new trials. Closes once nothing goes on.</summary>
    private ImmutableArray<SearchAction> Proceed(List<SearchAction> actions)
    {
        for (var room = _limits.MaxConcurrent - Training; room > 0 && !_isClosed; room--)
        {
            if (NextPromoted() is { } trial)
            {
                Set(trial, TrialPhase.Training);
                actions.Add(new SearchAction.Continue(trial, _policy.Rungs[_trials[trial].Rung]));
            }
            else if (MayCreate())
            {
                _trials.Add(new TrialStanding(0, TrialPhase.Training));
                actions.Add(new SearchAction.Create(_trials.Count - 1, _policy.Rungs[0]));
            }
            else
            {
                break;
            }
        }

        if (!_isClosed && Training == 0 && !_trials.Exists(trial => trial.Phase == TrialPhase.Promoted) && !MayCreate())
        {
            for (var trial = 0; trial < _trials.Count; trial++)
            {
                if (_trials[trial].Phase == TrialPhase.Paused)
                    Stop(trial, actions);
            }

            _isClosed = true;
            actions.Add(new SearchAction.Close());
        }

        return [.. actions];
    }

    /// <summary>One that has failed since it was promoted trains no more.</summary>
    private int? NextPromoted()
    {
        while (_promoted.TryDequeue(out var trial))
        {
            if (_trials[trial].Phase == TrialPhase.Promoted)
                return trial;
        }

        return null;
    }

    /// <summary>Settings that never work are given up after as many tries as there were to be trials.</summary>
    private bool MayCreate()
    {
        var replaced = _policy.ReplacesInvalid ? Math.Min(Invalid, _limits.MaxTrials) : 0;
        return _trials.Count - replaced < Math.Min(_limits.MaxTrials, _policy.MostTrials);
    }

    private void Stop(int trial, List<SearchAction> actions)
    {
        Set(trial, TrialPhase.Stopped);
        var entries = _rungs[_trials[trial].Rung].Entries;
        var place = 1 + entries.TakeWhile(entry => entry.Trial != trial).Count();
        actions.Add(new SearchAction.Stop(trial, $"place {place} of {entries.Count} there"));
    }

    private void Set(int trial, TrialPhase phase) => _trials[trial] = _trials[trial] with { Phase = phase };
}
