using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class ExperimentFileTests
{
    private const string Shared = "name: trial\nmodel: fourlayer_cnn\ndata: fashion-mnist\n";

    private const string Variants = Shared + """
        variants:
          - name: relu
            set: {model.options.activation: relu}
          - name: tanh
            set: {model.options.activation: tanh, hyperparameters.optimizer.learningRate: 0.002}

        """;

    [Fact]
    public void Parse_OfVariants_PutsEachSettingInItsPlace_AndLeavesTheRest()
    {
        var plan = ExperimentFile.Parse(Variants);

        plan.Name.ShouldBe("trial");
        plan.Members.Select(member => member.Variant).ShouldBe(["relu", "tanh"]);
        plan.Members.Select(member => member.Spec.Name).ShouldBe(["trial-relu", "trial-tanh"]);
        var (relu, tanh) = (plan.Members[0].Spec, plan.Members[1].Spec);
        relu.Model.Options["activation"].StringValue.ShouldBe("relu");
        relu.Hyperparameters.Optimizer.LearningRate.ShouldBe(0.01);
        tanh.Model.Options["activation"].StringValue.ShouldBe("tanh");
        tanh.Hyperparameters.Optimizer.LearningRate.ShouldBe(0.002);
        tanh.Data.ShouldBe(relu.Data);
    }

    [Fact]
    public void Parse_OfAVariant_EqualsTheJobFileWithTheSameValues()
    {
        var alone = JobFile.ParseMarked("name: trial-tanh\nmodel: {name: fourlayer_cnn, options: {activation: tanh}}\ndata: fashion-mnist\n"
            + "hyperparameters: {optimizer: {learningRate: 0.002}}\n");

        ExperimentFile.Parse(Variants).Members[1].Spec.ShouldBe(alone);
    }

    [Fact]
    public void Parse_OfAMatrix_MakesEveryCombination_TheLastKeyFastest()
    {
        var plan = ExperimentFile.Parse(
            Shared + "matrix:\n  hyperparameters.labelSmoothing: [0, 0.1]\n  model.name: [fourlayer_cnn, lenet5]\n");

        plan.Members.Select(member => member.Variant).ShouldBe(
            ["labelSmoothing=0,model=fourlayer_cnn", "labelSmoothing=0,model=lenet5", "labelSmoothing=0.1,model=fourlayer_cnn",
                "labelSmoothing=0.1,model=lenet5"]);
        plan.Members.Select(member => (member.Spec.Hyperparameters.LabelSmoothing, member.Spec.Model.Name)).ShouldBe(
            [(0, "fourlayer_cnn"), (0, "lenet5"), (0.1, "fourlayer_cnn"), (0.1, "lenet5")]);
        plan.Members[3].Spec.Name.ShouldBe("trial-labelSmoothing-0.1-model-lenet5");
    }

    [Fact]
    public void Parse_OfVariantsAndAMatrix_TriesEachVariantWithEachValue()
    {
        var plan = ExperimentFile.Parse(Variants + "matrix: {seed: [1, 2]}\n");

        plan.Members.Select(member => (member.Variant, member.Spec.Seed)).ShouldBe(
            [("relu,seed=1", 1UL), ("relu,seed=2", 2UL), ("tanh,seed=1", 1UL), ("tanh,seed=2", 2UL)]);
    }

    [Fact]
    public void Parse_OfTwoKeysThatEndAlike_NamesThemInFull() =>
        ExperimentFile.Parse(Shared + "matrix: {model.options.width: [1], labels.width: [a]}\n").Members[0].Variant
            .ShouldBe("model.options.width=1,labels.width=a");

    [Fact]
    public void Parse_OfASettingThatIsAMapping_ReplacesTheWhole()
    {
        var plan = ExperimentFile.Parse(Shared + "hyperparameters: {optimizer: {momentum: 0.5}}\nvariants:\n"
            + "  - {name: adam, set: {hyperparameters.optimizer: {name: adam}}}\n");

        plan.Members[0].Spec.Hyperparameters.Optimizer.ShouldBe(
            JobFile.Parse(Shared + "hyperparameters: {optimizer: adam}\n").Hyperparameters.Optimizer);
    }

    [Fact]
    public void Parse_OfASettingBeforeItsPlaceIsThere_MakesThePlace() =>
        ExperimentFile.Parse(
            "data: mnist\nvariants:\n  - {name: a, set: {model.name: lenet5, resources.nodeLabels.example.org/rack: r1}}\n")
            .Members[0].Spec.Resources.NodeLabels["example.org/rack"].ShouldBe("r1");

    [Fact]
    public void Parse_WithoutAName_TakesTheModels() =>
        ExperimentFile.Parse("model: lenet5\ndata: mnist\nmatrix: {seed: [7]}\n").Name.ShouldBe("lenet5");

    [Fact]
    public void Parse_OfALongName_CutsTheJobsName() =>
        ExperimentFile.Parse(Variants.Replace("name: trial", "name: " + new string('x', 60))).Members[0]
            .Spec.Name.ShouldBe(new string('x', 60) + "-re");

    [Theory]
    [InlineData("variants: []\n", "line 4: variants is a list but must not be empty; write lines such as \"- {name: relu, set: "
        + "{model.options.activation: relu}}\" under it")]
    [InlineData("variants: 3\n",
        "line 4: variants is 3 but must be a list; write lines such as \"- {name: relu, set: {model.options.activation: relu}}\" under it")]
    [InlineData("variants: [relu]\n", "line 4: variants[1] is relu but must be a mapping; give it a name and, under set, what it changes")]
    [InlineData("variants: [{set: {seed: 2}}]\n", "line 4: variants[1].name is missing; use a name such as relu")]
    [InlineData("variants: [{name: 'a/b', set: {seed: 2}}]\n",
        "line 4: variants[1].name is \"a/b\" but must be 1 to 40 letters, digits, blanks or any of . "
            + "_ , = + × -, the first a letter or digit; use a name such as relu")]
    [InlineData("variants: [{name: a}]\n",
        "line 4: variant a: variants[1].set changes nothing; write what differs, such as \"set: {hyperparameters.labelSmoothing: 0.1}\"")]
    [InlineData("variants: [{name: a, set: {}}]\n",
        "line 4: variant a: variants[1].set changes nothing; write what differs, such as \"set: {hyperparameters.labelSmoothing: 0.1}\"")]
    [InlineData(
        "variants: [{name: a, seed: 3, set: {priority: 1}}]\n", "line 4: variants[1].seed is 3 but no such key exists; put seed under set")]
    [InlineData("variants: [{name: a, colour: red, set: {priority: 1}}]\n",
        "line 4: variants[1].colour is red but no such key exists; the keys here are name, set")]
    [InlineData("variants: [{name: a, set: {model.option.activation: relu}}]\n",
        "line 4: variant a: model.option.activation is relu but no job file has such a key; did you mean model.options.activation?")]
    [InlineData("variants: [{name: a, set: {learningRate: 1}}]\n",
        "line 4: variant a: learningRate is 1 but no job file has such a key; did you mean hyperparameters.optimizer.learningRate?")]
    [InlineData("variants: [{name: a, set: {zzz: 1}}]\n",
        "line 4: variant a: zzz is 1 but no job file has such a key; write the keys on the way to it with dots between, "
            + "as in hyperparameters.epochs")]
    [InlineData("variants: [{name: a, set: {name: b}}]\n",
        "line 4: variant a: name is b but is the experiment's and the same for all of its jobs; name the variant instead")]
    [InlineData("variants:\n- {name: a, set: {seed: 2}}\n- {name: a, set: {seed: 3}}\n",
        "line 6: variants is a but is the name of two variants; give each its own")]
    [InlineData("variants:\n- {name: a, set: {seed: 2}}\n- {name: b, set: {seed: 2}}\n",
        "line 6: variant b: variants would train the same job as variant a; change a value in one of them or remove it")]
    [InlineData(
        "matrix: {seed: []}\n", "line 4: matrix: seed is a list but must be a list of one or more single values; write it as [1, 2, 3]")]
    [InlineData("matrix: {seed: 3}\n", "line 4: matrix: seed is 3 but must be a list of one or more single values; write it as [1, 2, 3]")]
    [InlineData("matrix: {}\n", "line 4: matrix is empty; write lines such as \"seed: [1, 2, 3]\" under it")]
    [InlineData("matrix: {sede: [3]}\n", "line 4: matrix: sede is a list but no job file has such a key; did you mean seed?")]
    [InlineData("matrix: {seed: [1, 1]}\n", "line 4: variants is seed=1 but is the name of two variants; give each its own")]
    public void Parse_OfTheWrongForm_SaysWhereAndWhatToWrite(string variants, string message) => Refused(Shared + variants, message);

    [Fact]
    public void Parse_OfAnArray_PutsEachNumberInItsPlaces()
    {
        var plan = ExperimentFile.Parse(Shared + "seed: ${index}\nlabels: {part: \"of-${index}\"}\narray: 8-10%2\n");

        (plan.Name, plan.AtOnce).ShouldBe(("trial", 2));
        plan.Members.Select(member => member.Variant).ShouldBe(["8", "9", "10"]);
        plan.Members.Select(member => member.Spec.Name).ShouldBe(["trial-8", "trial-9", "trial-10"]);
        plan.Members.Select(member => (member.Spec.Seed, member.Spec.Labels["part"]))
            .ShouldBe([(8UL, "of-8"), (9UL, "of-9"), (10UL, "of-10")]);
        ExperimentFile.Parse(Shared + "hyperparameters: {epochs: \"${index}\"}\narray: 1-2\n").Members
            .Select(member => member.Spec.Hyperparameters.Epochs).ShouldBe([1, 2]);
        ExperimentFile.Parse(Shared + "seed: ${index}\narray: 1-2\n").AtOnce.ShouldBe(0);
    }

    [Theory]
    [InlineData("array: 16\n", "line 4: array is 16 but must be a first and a last number and, if there is a limit, how many jobs go on "
        + "at once; write it as 0-15 or 0-15%4")]
    [InlineData("array: 5-2\n", "line 4: array is 5-2 but must be a first and a last number and, if there is a limit, how many jobs go on "
        + "at once; write it as 0-15 or 0-15%4")]
    [InlineData("array: 0-3%0\n", "line 4: array is 0-3%0 but must be a first and a last number and, if there is a limit, how many jobs "
        + "go on at once; write it as 0-15 or 0-15%4")]
    [InlineData("array: 0-100\n", "line 4: array is 101 jobs but must be at most 100; submit several arrays")]
    [InlineData("array: 0-3\n",
        "line 4: array is 0-3 but its jobs would all be the same; write ${index} into a value that is to differ, such as seed")]
    [InlineData("array: 0-3\nmatrix: {seed: [1, 2]}\n", "line 5: matrix is a mapping but does not go with array; keep one of the two")]
    [InlineData("workspace: w${index}\narray: 0-3\n",
        "line 4: workspace is w${index} but is the array's and the same for all of its jobs; "
            + "leave ${index} out; each job's name ends with its number")]
    [InlineData("seed: x${index}\narray: 0-1\n",
        "line 4: variant 0: seed is x0 but must be a whole number of at most 64 bits and not negative; write a number such as 1 "
            + "(and 1 more: seed)")]
    public void Parse_OfAWrongArray_SaysWhatToWrite(string rest, string message) => Refused(Shared + rest, message);

    [Fact]
    public void Parse_OfAFaultInOneVariant_NamesVariantLineFieldValueAndRemedy() => Refused(
        Variants.Replace("activation: tanh", "activation: tanj"),
        "line 8: variant tanh: model.options.activation is tanj but must be relu or tanh or sigmoid; did you mean tanh?");

    [Fact]
    public void Parse_OfAFaultInAll_TellsItOnceAndOfTheFile() =>
        Refused("priority: 5000\n" + Variants, "line 1: priority is 5000 but must be a whole number from -1000 to 1000; use 1000 or less");

    [Fact]
    public void Parse_OfMoreThanAHundredJobs_IsRefusedBeforeAnyIsRead()
    {
        var many = string.Join(", ", Enumerable.Range(0, 400));
        Refused(Shared + $"matrix: {{seed: [{many}], priority: [{many}], labels.a: [{many}], labels.b: [{many}]}}\n",
            "line 4: matrix is 2147483647 jobs but must be at most 100; leave some values out or submit several experiments");
        ExperimentFile.Parse(Shared + $"matrix: {{seed: [{string.Join(", ", Enumerable.Range(0, 100))}]}}\n").Members.Length.ShouldBe(100);
    }

    [Fact]
    public void JobFile_WithVariants_IsNoJob() => Should.Throw<JobFileException>(() => JobFile.Parse(Variants)).Message
        .ShouldBe("line 4: variants is a list but one job has none; submit the file as an experiment, or remove it");

    [Theory]
    [InlineData(Variants, true)]
    [InlineData(Shared + "matrix: 3", true)]
    [InlineData(Shared + "array: 0-3", true)]
    [InlineData(Shared, false)]
    [InlineData("[", false)]
    public void Describes_TellsAnExperimentFromAJob(string yaml, bool isExperiment) =>
        ExperimentFile.Describes(yaml).ShouldBe(isExperiment);

    private static void Refused(string yaml, string message) =>
        Should.Throw<JobFileException>(() => ExperimentFile.Parse(yaml)).Message.ShouldBe(message);
}
