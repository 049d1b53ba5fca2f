namespace Cluster.Search.Tests;

public sealed class GridAndRandomTests
{
    private static readonly SearchPolicy Random = new(SearcherKind.Random, SmallerIsBetter: true, [5], Divisor: 4, StopOnce: false);

    private static readonly SearchPolicy Grid = Random with { Kind = SearcherKind.Grid, MostTrials = 3 };

    [Fact]
    public void Random_TrainsEachTrialToItsEnd_SoManyAtOnce()
    {
        var search = HyperparameterSearch.New(Random, new SearchLimits(MaxTrials: 3, MaxConcurrent: 2));

        Told.Words(search.Begin()).ShouldBe("create 0→5, create 1→5");
        search.ShouldDecide(
            """
            1@5 0.5  => create 2→5
            0 failed =>
            2@5 0.1  => close
            """);
        search.State.Trials.Select(trial => trial.Phase).ShouldBe([TrialPhase.Failed, TrialPhase.Completed, TrialPhase.Completed]);
    }

    [Fact]
    public void Random_ReplacesAnInvalidTrial()
    {
        var search = HyperparameterSearch.New(Random, new SearchLimits(MaxTrials: 2, MaxConcurrent: 1));
        search.Begin();

        search.ShouldDecide(
            """
            0 invalid => create 1→5
            1@5 0.5   => create 2→5
            2@5 0.5   => close
            """);
    }

    [Fact]
    public void Grid_HasNoOtherTrialForAnInvalidOne()
    {
        var search = HyperparameterSearch.New(Grid, new SearchLimits(MaxTrials: 100, MaxConcurrent: 1));
        search.Begin();

        search.ShouldDecide(
            """
            0 invalid => create 1→5
            1@5 0.5   => create 2→5
            2@5 0.5   => close
            """);
    }

    [Fact]
    public void ReportOfATrialThatIsOver_ChangesNothing()
    {
        var search = HyperparameterSearch.New(Random, new SearchLimits(MaxTrials: 3, MaxConcurrent: 1));
        search.Begin();
        search.ShouldDecide("0@5 0.5 => create 1→5");
        var before = search.State.Write();

        search.ShouldDecide(
            """
            0@5 0.4   =>
            0 failed  =>
            0 invalid =>
            1@4 0.4   =>
            7@5 0.4   =>
            """);
        search.State.Write().ShouldBe(before);
    }
}
