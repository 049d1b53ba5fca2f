using Cluster.Contracts.JobFiles;
using Cluster.Search;
using Cluster.Search.Space;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class SearchFileTests
{
    private const string Rate = "{type: log, minval: -4, maxval: -1}";

    [Fact]
    public void Parse_OfAsha_ReadsWhatDecides_AndFillsInTheRest()
    {
        var plan = ExperimentFile.Parse(File("{name: asha, maxTrials: 16}"));

        plan.Name.ShouldBe("search");
        var search = plan.Search.ShouldNotBeNull();
        search.Policy.Kind.ShouldBe(SearcherKind.Asha);
        search.Policy.Rungs.ShouldBe([2, 9]);
        (search.Policy.Divisor, search.Policy.StopOnce, search.Policy.SmallerIsBetter).ShouldBe((4, false, false));
        search.Limits.ShouldBe(new SearchLimits(MaxTrials: 16, MaxConcurrent: 16));
        (search.Metric, search.Seed).ShouldBe((MetricNames.ValidationAccuracy, 1UL));
    }

    [Fact]
    public void Parse_OfAsha_TakesAllThatIsGiven()
    {
        var search = ExperimentFile.Parse(File("""
            {name: asha, metric: validation/loss, maxTrials: 5, maxConcurrent: 2, seed: 7, maxRungs: 3, divisor: 3, stopOnce: true}
            """)).Search!;

        search.Policy.Rungs.ShouldBe([1, 3, 9]);
        (search.Policy.Divisor, search.Policy.StopOnce, search.Policy.SmallerIsBetter).ShouldBe((3, true, true));
        search.Limits.ShouldBe(new SearchLimits(MaxTrials: 5, MaxConcurrent: 2));
        (search.Metric, search.Seed).ShouldBe((MetricNames.ValidationLoss, 7UL));
    }

    [Fact]
    public void Trial_IsTheJobFileWithItsValues_WhateverOrderTrialsAreAskedFor()
    {
        var search = ExperimentFile.Parse(File("{name: random, maxTrials: 3}")).Search!;

        var (variant, spec) = search.Trial(2);
        var again = ExperimentFile.ParseSearch(File("{name: random, maxTrials: 3}")).Trial(2);

        again.Spec.ShouldBe(spec);
        variant.ShouldStartWith("2 activation=tanh,learningRate=0.0");
        spec.Name.ShouldStartWith("search-2-activation-tanh-learningRate-0.0");
        spec.Hyperparameters.Optimizer.LearningRate.ShouldBeInRange(1e-4, 1e-1);
        spec.Hyperparameters.Epochs.ShouldBe(9);
        new[] { "relu", "tanh" }.ShouldContain(spec.Model.Options["activation"].StringValue);
        search.Trial(1).Spec.Hyperparameters.Optimizer.LearningRate.ShouldNotBe(spec.Hyperparameters.Optimizer.LearningRate);
    }

    [Fact]
    public void Members_AreThoseThatTheSearchMayBeginWith() =>
        ExperimentFile.Parse(File("{name: random, maxTrials: 8, maxConcurrent: 3}")).Members
            .Select(member => member.Variant[..2]).ShouldBe(["0 ", "1 ", "2 "]);

    [Fact]
    public void Grid_TakesEveryCombination_AlsoOfAMatrix()
    {
        var search = ExperimentFile.Parse(File("grid", rate: "{type: log, minval: -3, maxval: -1, count: 3}") + "matrix: {seed: [1, 2]}\n")
            .Search!;

        search.Policy.MostTrials.ShouldBe(12);
        search.Limits.MaxTrials.ShouldBe(12);
        search.Policy.Rungs.ShouldBe([9]);
        search.Trial(0).Variant.ShouldBe("0 activation=relu,learningRate=0.001,seed=1");
        search.Trial(11).Variant.ShouldBe("11 activation=tanh,learningRate=0.1,seed=2");
        search.Trial(11).Spec.Seed.ShouldBe(2UL);
    }

    [Fact]
    public void EachTypeOfDimension_IsRead()
    {
        var dimensions = ExperimentFile.Parse(
            File("{name: random, maxTrials: 1}", rate: "{type: const, val: 0.02}",
                more: """
                      momentum: {type: double, minval: 0.5, maxval: 0.9, count: 3}
                      weightDecay: {type: log, minval: -5, maxval: -3, base: 2}
                  globalBatchSize: {type: int, minval: 16, maxval: 64}
                """)).Search!.Space.Dimensions.ToDictionary(each => each.Key[(each.Key.LastIndexOf('.') + 1)..], each => each.Value);

        dimensions["learningRate"].ShouldBe(new ConstDimension(new SettingValue("0.02")));
        dimensions["momentum"].ShouldBe(new DoubleDimension(0.5, 0.9, 3));
        dimensions["weightDecay"].ShouldBe(new LogDimension(-5, -3, 2, 0));
        dimensions["globalBatchSize"].ShouldBe(new IntDimension(16, 64, 0));
        ((CategoricalDimension)dimensions["activation"]).Values.Select(value => value.Text).ShouldBe(["relu", "tanh"]);
    }

    [Fact]
    public void LabelsNamedType_AreNothingToChoose()
    {
        var file = File("{name: random, maxTrials: 1}") + "labels: {type: vision}\n";

        ExperimentFile.Parse(file).Search!.Space.Dimensions.Length.ShouldBe(2);
        ExperimentFile.Parse(file).Members[0].Spec.Labels["type"].ShouldBe("vision");
    }

    [Fact]
    public void Describes_AFileWithASearcher() => ExperimentFile.Describes(File("{name: random, maxTrials: 1}")).ShouldBeTrue();

    [Theory]
    [InlineData("{name: ahsa, maxTrials: 1}", "searcher.name is ahsa but must be grid or random or asha; did you mean asha?")]
    [InlineData("{maxTrials: 1}", "searcher.name is missing; use grid or random or asha")]
    [InlineData("{name: random}", "searcher.maxTrials is missing; write a number such as 16")]
    [InlineData("{name: random, maxTrials: 0}",
        "searcher.maxTrials is 0 but must be a whole number from 1 to 1000; write a number such as 16")]
    [InlineData("{name: random, maxTrials: 1, metric: test/loss}",
        "searcher.metric is test/loss but must be validation/accuracy or validation/loss; use validation/accuracy or validation/loss")]
    [InlineData("{name: random, maxTrials: 1, divisor: 3}", "searcher.divisor is 3 but belongs to searcher asha only; remove it")]
    [InlineData("{name: asha, maxTrials: 1, divisr: 3}", "searcher.divisr is 3 but no such key exists; did you mean searcher.divisor?")]
    [InlineData("{name: asha, maxTrials: 1, stopOnce: 1}", "searcher.stopOnce is 1 but must be true or false; use true or false")]
    [InlineData("[asha]", "searcher is a list but must be a mapping; write {name: random, maxTrials: 16}")]
    public void Searcher_ThatIsNone_IsToldWithItsRemedy(string searcher, string message) =>
        Faults(File(searcher)).ShouldContain($"line 3: {message}");

    [Theory]
    [InlineData("{type: logg, minval: -4, maxval: -1}",
        ".type is logg but must be const, categorical, int, double or log; did you mean log?")]
    [InlineData("{type: log, minval: -1, maxval: -4}", ".minval is -1 but maxval is -4; use less than -4, or type const")]
    [InlineData("{type: log, minval: -4}", ".maxval must be a number; write a number such as 0.1")]
    [InlineData("{type: log, minval: -4, maxval: -1, base: 1}", ".base is 1 but must be more than 1; use 10 or leave it out")]
    [InlineData("{type: double, minval: 0, maxval: x}", ".maxval is x but must be a number; write a number such as 0.1")]
    [InlineData("{type: int, minval: 0.5, maxval: 2}",
        ".minval is 0.5 but must be a whole number of at most 31 bits; write a number such as 16")]
    [InlineData("{type: categorical, vals: []}",
        ".vals is a list but must be a list of 1 to 1000 single values; write {type: categorical, vals: [32, 64]}")]
    [InlineData("{type: double, minval: 0, maxval: 1, max: 3}",
        ".max is 3 but no such key exists for type double; the keys here are type, minval, maxval, count")]
    public void Dimension_ThatIsNone_IsToldWithItsRemedy(string rate, string message) =>
        Faults(File("{name: random, maxTrials: 1}", rate: rate)).ShouldContain(
            $"line 7: hyperparameters.optimizer.learningRate{message}");

    [Fact]
    public void Grid_WithoutCounts_IsToldWhichLackThem() => Faults(File("grid")).ShouldBe(
    [
        "line 7: hyperparameters.optimizer.learningRate.count is missing and a grid needs to know how many values to take; "
            + "add a count such as 4",
    ]);

    [Fact]
    public void Search_ThatCannotBe_IsTold()
    {
        Faults(File("{name: random, maxTrials: 1}", epochs: "{type: int, minval: 1, maxval: 3}")).ShouldContain(
            "line 6: hyperparameters.epochs is a mapping but must be a whole number from 1 to 100000, the same for all trials of a search; "
                + "write a number such as 10");
        Faults(File("{name: random, maxTrials: 1}") + "matrix: {hyperparameters.epochs: [1, 2]}\n").ShouldBe(
            ["line 8: matrix: hyperparameters.epochs must be the same for all trials of a search; give one number in its own place"]);
        Faults("name: search\nmodel: lenet5\nsearcher: {name: random, maxTrials: 1}\ndata: fashion-mnist\n").ShouldContain(
            "line 3: searcher.name is random but nothing in the file is left to choose; give a hyperparameter as "
                + "{type: log, minval: -4, maxval: -1, base: 10} or {type: categorical, vals: [32, 64]}");
        Faults(File("{name: random, maxTrials: 1}").Replace("validationSamples: 512", "validationSamples: 0")).ShouldContain(
            "searcher.metric is validation/accuracy but data.validationSamples is 0; set validation samples aside");
        Faults(File("{name: random, maxTrials: 1}") + "variants: [{name: a, set: {seed: 2}}]\n").ShouldContain(
            "line 8: variants is given beside searcher, which makes the variants itself; "
                + "keep one of the two, or list the values under matrix");
        Faults(File("{name: random, maxTrials: 1}") + "array: 0-3\n").ShouldContain(
            fault => fault.StartsWith("line 8: array is given beside searcher, which makes the variants itself"));
        Faults(File("{name: random, maxTrials: 1}", rate: "{type: const, val: 1000}")).ShouldContain(
            fault => fault.Contains("hyperparameters.optimizer.learningRate is 1000 but must be more than 0 and at most 100"));
    }

    [Fact]
    public void Job_WithASearcher_IsAskedToBeAnExperiment() =>
        Should.Throw<JobFileException>(() => JobFile.Parse(File("{name: random, maxTrials: 1}"))).Violations
            .ShouldContain(fault => fault.Field == "searcher" && fault.Remedy == "submit the file as an experiment, or remove it");

    private static List<string> Faults(string yaml) =>
        [.. Should.Throw<JobFileException>(() => ExperimentFile.Parse(yaml)).Violations.Select(fault => fault.ToString())];

    private static string File(string searcher, string rate = Rate, string epochs = "9", string more = "") =>
        $"""
        name: search
        model: {"{name: lenet5, options: {activation: {type: categorical, vals: [relu, tanh]}}}"}
        searcher: {searcher.Trim()}
        data: {"{name: fashion-mnist, validationSamples: 512}"}
        hyperparameters:
          epochs: {epochs}
          optimizer: {(more.Length == 0 ? $"{{learningRate: {rate}}}" : $"\n      learningRate: {rate}\n{more}")}

        """;
}
