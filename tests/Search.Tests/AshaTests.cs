namespace Cluster.Search.Tests;

/// <summary>Determined's rules for ASHA, as tables of reports and what is to be decided on each.</summary>
public sealed class AshaTests
{
    private static readonly SearchPolicy Promotion = new(SearcherKind.Asha, SmallerIsBetter: true, [1, 3, 9], Divisor: 3, StopOnce: false);

    private static readonly SearchPolicy Stopping = Promotion with { StopOnce = true };

    [Fact]
    public void Promotion_OfTheBestThird_GoesBeforeNewTrials()
    {
        var search = Begun(Promotion, maxTrials: 12, maxConcurrent: 3, "create 0→1, create 1→1, create 2→1");

        // One of 3 is promoted when it comes or when enough worse ones have come; one better than all promoted before is promoted too.
        search.ShouldDecide(
            """
            0@1 0.5  => create 3→1
            1@1 0.6  => create 4→1
            2@1 0.4  => continue 2→3
            3@1 0.45 => create 5→1
            4@1 0.3  => continue 4→3
            5@1 0.7  => create 6→1
            6@1 0.46 => create 7→1
            7@1 0.47 => create 8→1
            8@1 0.9  => continue 3→3
            2@3 0.35 => create 9→1
            4@3 0.25 => create 10→1
            3@3 0.5  => continue 4→9
            4@9 0.2  => create 11→1
            """);
        search.State.Trials[4].Phase.ShouldBe(TrialPhase.Completed);
        search.State.Trials[0].Phase.ShouldBe(TrialPhase.Paused);
    }

    [Fact]
    public void Promotion_OfEquals_TakesTheFirst() =>
        Begun(Promotion, maxTrials: 3, maxConcurrent: 3, "create 0→1, create 1→1, create 2→1").ShouldDecide(
            """
            1@1 0.5 =>
            0@1 0.5 =>
            2@1 0.5 => continue 1→3
            """);

    [Fact]
    public void Promotion_WhenNothingTrainsAnyMore_StopsWhatIsPausedAndCloses()
    {
        var search = Begun(Promotion, maxTrials: 3, maxConcurrent: 3, "create 0→1, create 1→1, create 2→1");

        search.ShouldDecide(
            """
            0@1 0.5 =>
            1@1 0.6 =>
            2@1 0.4 => continue 2→3
            2@3 0.4 => stop 0, stop 1, stop 2, close
            """);
        search.State.IsClosed.ShouldBeTrue();
    }

    [Fact]
    public void LargerIsBetter_TurnsTheOrder() =>
        Begun(Promotion with { SmallerIsBetter = false }, maxTrials: 3, maxConcurrent: 3, "create 0→1, create 1→1, create 2→1")
            .ShouldDecide("""
            0@1 0.5 =>
            1@1 0.6 =>
            2@1 0.4 => continue 1→3
            """);

    [Fact]
    public void FailedTrial_CountsAsTheWorst_AndMakesRoom() =>
        Begun(Promotion, maxTrials: 9, maxConcurrent: 3, "create 0→1, create 1→1, create 2→1").ShouldDecide(
            """
            0@1 0.5  => create 3→1
            1 failed => create 4→1
            2@1 0.6  => continue 0→3
            """);

    [Fact]
    public void FailedTrial_ThatIsPromoted_CountsAsTheWorstOfTheNextRungToo()
    {
        var search = Begun(Promotion, maxTrials: 9, maxConcurrent: 3, "create 0→1, create 1→1, create 2→1");

        search.ShouldDecide(
            """
            0 failed => create 3→1
            1 failed => create 4→1
            2 failed => create 5→1
            """);
        search.State.Rungs[1].ShouldHaveSingleItem().Trial.ShouldBe(0);
    }

    [Fact]
    public void TrialThatFailsWhilePaused_KeepsItsPlace_AndTrainsNoMore()
    {
        var search = Begun(Promotion, maxTrials: 9, maxConcurrent: 3, "create 0→1, create 1→1, create 2→1");

        search.ShouldDecide(
            """
            0@1 0.5  => create 3→1
            0 failed =>
            1@1 0.6  => create 4→1
            2@1 0.7  => create 5→1
            """);
        search.State.Rungs[1].ShouldHaveSingleItem().Trial.ShouldBe(0);
    }

    [Fact]
    public void InvalidTrial_IsForgottenAndReplaced()
    {
        var search = Begun(Promotion, maxTrials: 3, maxConcurrent: 2, "create 0→1, create 1→1");

        search.ShouldDecide(
            """
            0 invalid => create 2→1
            1@1 0.6   => create 3→1
            2@1 0.5   =>
            3@1 0.7   => continue 2→3
            """);
        search.State.Rungs[0].Select(entry => entry.Trial).ShouldBe([2, 1, 3]);
    }

    [Fact]
    public void InvalidTrials_WithoutEnd_AreGivenUp() =>
        Begun(Promotion, maxTrials: 2, maxConcurrent: 1, "create 0→1").ShouldDecide(
            """
            0 invalid => create 1→1
            1 invalid => create 2→1
            2 invalid => create 3→1
            3 invalid => close
            """);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void MetricThatIsNoNumber_StopsTheTrial_AsTheWorst(bool stopOnce)
    {
        var search = Begun(Promotion with { StopOnce = stopOnce }, maxTrials: 9, maxConcurrent: 1, "create 0→1");

        Told.Words(search.Apply(new TrialReport.Reached(0, 1, double.NaN))).ShouldBe("stop 0, create 1→1");
        search.State.Trials[0].Phase.ShouldBe(TrialPhase.Failed);
        search.State.Rungs[0][0].Trial.ShouldBe(0);
    }

    [Fact]
    public void Stopping_LetsOnWhoIsAmongTheBestThird_AndStopsOthersForGood()
    {
        var search = Begun(Stopping, maxTrials: 9, maxConcurrent: 1, "create 0→1");

        // Of fewer than 3 the best goes on; an equal newcomer goes on too.
        search.ShouldDecide(
            """
            0@1 0.5  => continue 0→3
            0@3 0.4  => continue 0→9
            0@9 0.4  => create 1→1
            1@1 0.6  => stop 1, create 2→1
            2@1 0.5  => continue 2→3
            2@3 0.45 => stop 2, create 3→1
            3@1 0.55 => stop 3, create 4→1
            4@1 0.3  => continue 4→3
            4@3 0.4  => continue 4→9
            """);
    }

    /// <summary>Optuna's SuccessiveHalvingPruner on the same values: pruned unless value ≤ sorted[max(⌊n/η⌋ − 1, 0)].</summary>
    [Fact]
    public void Stopping_DecidesAsOptunaDoes()
    {
        var search = Begun(Stopping with { Rungs = [1, 2], Divisor = 2 }, maxTrials: 100, maxConcurrent: 1, "create 0→1");

        search.ShouldDecide(
            """
            0@1 0.5  => continue 0→2
            0@2 0.5  => create 1→1
            1@1 0.6  => stop 1, create 2→1
            2@1 0.5  => continue 2→2
            2@2 0.5  => create 3→1
            3@1 0.4  => continue 3→2
            3@2 0.5  => create 4→1
            4@1 0.5  => continue 4→2
            4@2 0.5  => create 5→1
            5@1 0.55 => stop 5, create 6→1
            6@1 0.45 => continue 6→2
            6@2 0.5  => create 7→1
            7@1 0.52 => stop 7, create 8→1
            """);
    }

    [Fact]
    public void Limits_ChangedWhileItRuns_CountFromThenOn()
    {
        var search = Begun(Promotion, maxTrials: 4, maxConcurrent: 2, "create 0→1, create 1→1");

        Told.Words(search.Change(new SearchLimits(MaxTrials: 6, MaxConcurrent: 3))).ShouldBe("create 2→1");
        Told.Words(search.Change(new SearchLimits(MaxTrials: 6, MaxConcurrent: 1))).ShouldBe("");
        search.ShouldDecide(
            """
            0@1 0.5 =>
            1@1 0.6 =>
            2@1 0.4 => continue 2→3
            2@3 0.4 => create 3→1
            """);
        Told.Words(search.Change(new SearchLimits(MaxTrials: 4, MaxConcurrent: 1))).ShouldBe("");
        search.ShouldDecide("3@1 0.9 => stop 0, stop 1, stop 2, stop 3, close");
    }

    [Theory]
    [InlineData(9, 5, 3, "1 3 9")]
    [InlineData(27, 3, 3, "3 9 27")]
    [InlineData(10, 9, 4, "2 10")]
    [InlineData(1, 5, 4, "1")]
    public void Rungs_AreFractionsOfTheLongest(int maxLength, int maxRungs, double divisor, string rungs) =>
        string.Join(' ', SearchPolicy.RungsFor(maxLength, maxRungs, divisor)).ShouldBe(rungs);

    private static HyperparameterSearch Begun(SearchPolicy policy, int maxTrials, int maxConcurrent, string first)
    {
        var search = HyperparameterSearch.New(policy, new SearchLimits(maxTrials, maxConcurrent));
        Told.Words(search.Begin()).ShouldBe(first);
        return search;
    }
}
