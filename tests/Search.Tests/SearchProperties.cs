using CsCheck;

namespace Cluster.Search.Tests;

/// <summary>What holds for every search, whatever becomes of its trials and in whatever order that is heard.</summary>
public sealed class SearchProperties
{
    private const long Cases = 3_000;

    private static readonly Gen<SearchPolicy> Policies =
        from chosen in Gen.Int[0, 4]
        let kind = chosen switch { 0 => SearcherKind.Random, 1 => SearcherKind.Grid, _ => SearcherKind.Asha }
        from smaller in Gen.Bool
        from stopOnce in Gen.Bool
        from rungs in Gen.Int[1, 4]
        from divisor in Gen.Int[2, 4]
        from grid in Gen.Int[1, 20]
        select new SearchPolicy(
            kind, smaller, SearchPolicy.RungsFor(64, kind == SearcherKind.Asha ? rungs : 1, divisor), divisor, stopOnce,
            kind == SearcherKind.Grid ? grid : int.MaxValue);

    private static readonly Gen<SearchLimits> Limits =
        from trials in Gen.Int[1, 24]
        from concurrent in Gen.Int[1, 8]
        select new SearchLimits(trials, concurrent);

    /// <summary>Few different metrics, so that many are equal.</summary>
    private static readonly Gen<Event> Events =
        from which in Gen.Int[0, 7]
        from fate in Gen.Int[0, 19]
        from metric in Gen.Int[0, 9]
        from limits in Limits
        select new Event(which, fate, metric, limits);

    private static readonly Gen<(SearchPolicy Policy, SearchLimits Limits, Event[] Events)> Histories =
        Gen.Select(Policies, Limits, Events.Array[100]);

    /// <summary>A search that is written down and read again at any point decides as one that is not.</summary>
    [Fact]
    public void RestoredSearch_DecidesAsBefore() => ForAll((world, _) =>
    {
        var restored = HyperparameterSearch.Restore(world.Policy, SearchState.Read(world.Before));
        Told.Words(world.Again(restored)).ShouldBe(Told.Words(world.Actions));
        restored.State.Write().ShouldBe(world.Search.State.Write());
    });

    /// <summary>Trials are numbered from 0 without a gap, each is made once, and one that trains on goes to the next rung.</summary>
    [Fact]
    public void NoTrialIsLostOrMadeTwice() => ForAll((world, lengths) =>
    {
        foreach (var action in world.Actions)
        {
            if (action is SearchAction.Create(var made, var first))
            {
                made.ShouldBe(lengths.Count);
                first.ShouldBe(world.Policy.Rungs[0]);
                lengths.Add(first);
            }
            else if (action is SearchAction.Continue(var trial, var length))
            {
                world.Policy.Rungs.IndexOf(length).ShouldBe(world.Policy.Rungs.IndexOf(lengths[trial]) + 1);
                lengths[trial] = length;
            }
        }

        world.Search.State.Trials.Length.ShouldBe(lengths.Count);
    });

    /// <summary>What is started never makes more trials train at once, or be there at all, than the limits of the moment allow.</summary>
    [Fact]
    public void LimitsAreKept() => ForAll((world, _) =>
    {
        if (!world.Actions.Any(action => action is SearchAction.Create or SearchAction.Continue))
            return;
        var state = world.Search.State;
        state.Trials.Count(trial => trial.Phase == TrialPhase.Training).ShouldBeLessThanOrEqualTo(state.Limits.MaxConcurrent);
        if (!world.Actions.Any(action => action is SearchAction.Create))
            return;
        var counted = state.Trials.Count(trial => trial.Phase != TrialPhase.Invalid || !world.Policy.ReplacesInvalid);
        counted.ShouldBeLessThanOrEqualTo(Math.Min(state.Limits.MaxTrials, world.Policy.MostTrials));
    });

    /// <summary>A report that comes again changes nothing.</summary>
    [Fact]
    public void RepeatedReport_ChangesNothing() => ForAll((world, _) =>
    {
        if (world.Report is not { } report)
            return;
        var before = world.Search.State.Write();
        world.Search.Apply(report).ShouldBeEmpty();
        world.Search.State.Write().ShouldBe(before);
    });

    /// <summary>When trials are over and devices are free, something goes on or the search closes, and then every trial is over.</summary>
    [Fact]
    public void SearchNeverStalls() => ForAll((world, _) =>
    {
        var state = world.Search.State;
        if (state.IsClosed)
        {
            state.Trials.ShouldAllBe(trial => trial.Phase != TrialPhase.Training && trial.Phase != TrialPhase.Paused
                && trial.Phase != TrialPhase.Promoted);
        }
        else
        {
            state.Trials.ShouldContain(trial => trial.Phase == TrialPhase.Training);
        }
    });

    /// <summary>Each decision of ASHA is that of its rule, read off all scores of the rung sorted anew.</summary>
    [Fact]
    public void AshaDecidesByItsRule() => ForAll((world, _) =>
    {
        if (world.Policy.Kind != SearcherKind.Asha || world.Report is not TrialReport.Reached { Metric: var metric } report
            || !double.IsFinite(metric))
            return;
        var (before, after) = (SearchState.Read(world.Before), world.Search.State);
        var rung = world.Policy.Rungs.IndexOf(report.Length);
        if (rung == world.Policy.Rungs.Length - 1)
            return;
        var score = world.Policy.SmallerIsBetter ? metric : -metric;
        var others = before.Rungs[rung];
        int Room(int trials) => (int)(trials / world.Policy.Divisor);
        var promoted = after.Rungs[rung].Where(entry => entry.IsPromoted).Select(entry => entry.Trial)
            .Except(others.Where(entry => entry.IsPromoted).Select(entry => entry.Trial)).ToList();
        if (world.Policy.StopOnce)
        {
            var goesOn = others.Count(entry => entry.Score < score) < Math.Max(1, Room(others.Length + 1));
            promoted.ShouldBe(goesOn ? [report.Trial] : []);
            return;
        }

        var (old, now) = (Room(others.Length), Room(others.Length + 1));
        // In the order of their scores, the newcomer behind its equals.
        var sorted = others.Select(entry => (entry.Trial, entry.Score, entry.IsPromoted, New: 0))
            .Append((report.Trial, Score: score, IsPromoted: false, New: 1))
            .OrderBy(entry => entry.Score).ThenBy(entry => entry.New).ToList();
        if (sorted.FindIndex(entry => entry.Trial == report.Trial) < now)
            promoted.ShouldBe([report.Trial]);
        else if (now > old && !sorted[old].IsPromoted)
            promoted.ShouldBe([sorted[old].Trial]);
        else
            promoted.ShouldBeEmpty();
    });

    /// <summary>Runs histories, and calls the check after each of their events.</summary>
    private static void ForAll(Action<World, List<int>> check) => Histories.Sample(history =>
    {
        var (world, lengths) = (new World(history.Policy, history.Limits), new List<int>());
        check(world, lengths);
        foreach (var next in history.Events)
        {
            if (!world.Take(next))
                break;
            check(world, lengths);
        }
    }, iter: Cases);

    /// <param name="Which">Of the trials that train, counted round.</param>
    /// <param name="Fate">What becomes of it; most reach their rung.</param>
    private sealed record Event(int Which, int Fate, int Metric, SearchLimits Limits);

    private sealed class World
    {
        public World(SearchPolicy policy, SearchLimits limits)
        {
            Policy = policy;
            Search = HyperparameterSearch.New(policy, limits);
            Before = Search.State.Write();
            Again = search => search.Begin();
            Actions = [.. Again(Search)];
        }

        public SearchPolicy Policy { get; }

        public HyperparameterSearch Search { get; }

        /// <summary>The state before the last event, and what that event did.</summary>
        public string Before { get; private set; }

        public Func<HyperparameterSearch, IEnumerable<SearchAction>> Again { get; private set; }

        public IReadOnlyList<SearchAction> Actions { get; private set; }

        public TrialReport? Report { get; private set; }

        /// <returns>False when the search is closed.</returns>
        public bool Take(Event next)
        {
            var state = Search.State;
            if (state.IsClosed)
                return false;
            Before = state.Write();
            Report = next.Fate == 0 ? null : ReportOf(next, state);
            Again = Report is { } report ? search => search.Apply(report) : search => search.Change(next.Limits);
            Actions = [.. Again(Search)];
            return true;
        }

        private TrialReport ReportOf(Event next, SearchState state)
        {
            var hasPaused = state.Trials.Any(each => each.Phase == TrialPhase.Paused);
            var phase = next.Fate == 1 && hasPaused ? TrialPhase.Paused : TrialPhase.Training;
            var open = Enumerable.Range(0, state.Trials.Length).Where(i => state.Trials[i].Phase == phase).ToList();
            var trial = open[next.Which % open.Count];
            return next.Fate switch
            {
                1 or 2 => new TrialReport.Failed(trial),
                3 => new TrialReport.Invalid(trial),
                4 => new TrialReport.Reached(trial, Policy.Rungs[state.Trials[trial].Rung], double.NaN),
                _ => new TrialReport.Reached(trial, Policy.Rungs[state.Trials[trial].Rung], next.Metric / 10.0),
            };
        }
    }
}
