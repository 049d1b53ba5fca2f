using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class JobFileTests
{
    private const string Full = """
        name: towers
        workspace: vision
        labels: { team: eyes, year: 2012 }
        priority: -3
        model:
          name: alexnet
          options: { width: 1, lrn: false, init: he, dropout: 0.25 }
        data:
          name: fashion-mnist
          validationSamples: 1000
          trainSamples: 20000
          augmentation: { cropPadding: 2, flip: true }
        hyperparameters:
          epochs: 3
          maxSteps: 500
          globalBatchSize: 64
          optimizer: { name: sgd, learningRate: 1e-2, momentum: 0, weightDecay: 0.0005, nesterov: false }
          schedule: { name: step, stepEpochs: 2, gamma: 0.5, warmupEpochs: 1 }
          labelSmoothing: 0.1
          precision: float64
          memoryFormat: channelsLast
        resources:
          devices: 2
          deviceKind: cpu
          maxDevicesPerNode: 1
          nodeLabels: { zone: "7" }
        parallelism: model
        checkpoints: { everyEpochs: 2, everySteps: 100, keepLatest: 5, keepBest: false }
        restarts: { maxRestarts: 1, initialBackoff: 500ms, maxBackoff: 1m30s }
        seed: 18446744073709551615
        task: train
        initFrom: { job: 0f3c9a1b, which: best, newHead: true }
        maxRuntime: 8h
        minRuntime: 20m
        after: [0f3c9a1b, { job: 77e24c01, state: ended }]
        failurePolicies: { pattern: "CUDA error: 7[0-9]+", action: excludeNode }
        """;

    [Fact]
    public void Parse_ReadsEveryField()
    {
        var expected = new JobSpec
        {
            Name = "towers",
            Workspace = "vision",
            Labels = { ["team"] = "eyes", ["year"] = "2012" },
            Priority = -3,
            Model = new ModelSpec
            {
                Name = "alexnet",
                Options =
                {
                    ["classes"] = new OptionValue { IntValue = 10 },
                    ["channels"] = new OptionValue { IntValue = 1 },
                    ["inputSize"] = new OptionValue { IntValue = 28 },
                    ["width"] = new OptionValue { DoubleValue = 1 },
                    ["lrn"] = new OptionValue { BoolValue = false },
                    ["pooling"] = new OptionValue { StringValue = "overlapping" },
                    ["dropout"] = new OptionValue { DoubleValue = 0.25 },
                    ["dropoutForm"] = new OptionValue { StringValue = "inverted" },
                    ["init"] = new OptionValue { StringValue = "he" },
                },
            },
            Data = new DataSpec
            {
                Name = "fashion-mnist",
                ValidationSamples = 1000,
                TrainSamples = 20000,
                Augmentation = new Augmentation { CropPadding = 2, Flip = true },
                Normalization = new Normalization { Mean = "own", Deviation = "own" },
            },
            Hyperparameters = new Hyperparameters
            {
                Epochs = 3,
                MaxSteps = 500,
                GlobalBatchSize = 64,
                Optimizer = new OptimizerSpec { Name = "sgd", LearningRate = 0.01, WeightDecay = 0.0005 },
                Schedule = new ScheduleSpec { Name = "step", StepEpochs = 2, Gamma = 0.5, WarmupEpochs = 1 },
                LabelSmoothing = 0.1,
                Precision = Precision.Float64,
                MemoryFormat = MemoryFormats.ChannelsLast,
            },
            Resources = new ResourceSpec
            {
                Devices = 2,
                DeviceKind = DeviceKind.Cpu,
                MaxDevicesPerNode = 1,
                NodeLabels = { ["zone"] = "7" },
            },
            Parallelism = Parallelism.Model,
            Mesh = new MeshSpec { Data = 1, Model = 2, Pipeline = 1 },
            Checkpoints = new CheckpointPolicy { EveryEpochs = 2, EverySteps = 100, KeepLatest = 5 },
            Restarts = new RestartPolicy
            {
                MaxRestarts = 1,
                InitialBackoff = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(500)),
                MaxBackoff = Duration.FromTimeSpan(TimeSpan.FromSeconds(90)),
            },
            Seed = ulong.MaxValue,
            Task = new TaskSpec { Name = "train" },
            InitFrom = new InitFrom { Job = "0f3c9a1b", Which = CheckpointChoice.Best, NewHead = true },
            Evaluation = new EvaluationSpec { Crops = "one" },
            MaxRuntime = Duration.FromTimeSpan(TimeSpan.FromHours(8)),
            MinRuntime = Duration.FromTimeSpan(TimeSpan.FromMinutes(20)),
            After =
            {
                new Dependency { Job = "0f3c9a1b", State = DependencyState.Succeeded },
                new Dependency { Job = "77e24c01", State = DependencyState.Ended },
            },
            FailurePolicies = { new FailurePolicy { Pattern = "CUDA error: 7[0-9]+", Action = FailureActions.ExcludeNode } },
            Queue = "default",
        };

        JobFile.Parse(Full).ShouldBe(expected);
    }

    [Fact]
    public void Parse_OfTheShortestFile_WritesEveryDefaultDown()
    {
        JobFile.Write(JobFile.Parse("model: lenet5\ndata: fashion-mnist\n")).ShouldBe("""
            name: lenet5
            workspace: default
            priority: 0
            model:
              name: lenet5
              options:
                activation: tanh
                channels: 1
                classes: 10
                init: paper
                inputSize: 28
            data:
              name: fashion-mnist
              validationSamples: 5000
              trainSamples: 0
              augmentation:
                cropPadding: 0
                flip: false
              loaderThreads: 0
              normalization:
                mean: own
                deviation: own
            hyperparameters:
              epochs: 10
              maxSteps: 0
              globalBatchSize: 128
              optimizer:
                name: sgd
                learningRate: 0.01
                momentum: 0.9
                weightDecay: 0
                nesterov: false
              schedule:
                name: constant
                warmupEpochs: 0
              labelSmoothing: 0
              precision: float32
              clipNorm: 0
              accumulationSteps: 0
              averageDecay: 0
              shardOptimizer: false
              memoryFormat: auto
              deterministic: false
            resources:
              devices: 1
              deviceKind: any
              maxDevicesPerNode: 0
            parallelism: data
            checkpoints:
              everyEpochs: 1
              everySteps: 0
              keepLatest: 2
              keepBest: true
            restarts:
              maxRestarts: 3
              initialBackoff: 1s
              maxBackoff: 1m
            seed: 1
            task:
              name: train
            mesh:
              data: 1
              model: 1
              pipeline: 1
            evaluation:
              crops: one
            queue: default
            maxRuntime: 0s
            minRuntime: 0s

            """);
    }

    [Fact]
    public void Write_OfAList_ReadsBack_AndOneEntryNeedsNoList()
    {
        const string sound = "model: lenet5\ndata: fashion-mnist\n";
        var spec = JobFile.Parse(sound + "after: [0f3c9a1b, { job: 77e24c01, state: ended }]");

        JobFile.Write(spec).ShouldEndWith("""
            after:
              - job: 0f3c9a1b
                state: succeeded
              - job: 77e24c01
                state: ended

            """);
        JobFile.Parse(JobFile.Write(spec)).ShouldBe(spec);
        JobFile.Parse(sound + "after: 0f3c9a1b").ShouldBe(JobFile.Parse(sound + "after:\n  - job: 0f3c9a1b"));
    }

    [Fact]
    public void ParseMarked_TellsWhatTheTextHasFromWhatIsADefault_AndWriteGivenGivesThatBack()
    {
        const string File = """
            name: mine
            labels:
              team: vision
            model:
              name: lenet5
              options:
                activation: tanh
            data:
              name: fashion-mnist
            hyperparameters:
              epochs: 5
              optimizer:
                name: adam
            after:
              - job: 0f3c9a1b
                state: succeeded

            """;

        var spec = JobFile.ParseMarked(File.Replace("after:\n  - job: 0f3c9a1b\n    state: succeeded", "after: 0f3c9a1b"));

        spec.Given.ShouldBe(["after", "data.name", "hyperparameters.epochs", "hyperparameters.optimizer.name", "labels.team",
            "model.name", "model.options.activation", "name"]);
        JobFile.WriteGiven(spec).ShouldBe(File);
        JobFile.Lines(spec).Single(line => line.Text == "seed: 1").IsGiven.ShouldBeFalse();
        JobFile.Write(spec).ShouldBe(JobFile.Write(JobFile.Parse(File)));
    }

    [Theory]
    [InlineData("model: lenet5", "model.name")] // the shorter form of the same
    [InlineData("resources: {devices: {min: 1, max: 2}}", "resources.devices", "resources.minDevices")]
    [InlineData("seed: 1", "seed")] // written down, though it is the default
    public void Given_KnowsEachFormOfAKey(string line, params string[] paths)
    {
        var sound = "data: fashion-mnist\n" + (line.StartsWith("model", StringComparison.Ordinal) ? "" : "model: lenet5\n");

        JobFile.ParseMarked(sound + line).Given.ShouldBe(
            paths.Concat(["data.name", "model.name"]).Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Given_IsNoKey_AndAReceivedOneIsNotBelieved()
    {
        const string Sound = "model: lenet5\ndata: fashion-mnist\n";
        Should.Throw<JobFileException>(() => JobFile.Parse(Sound + "given: [seed]")).Message.ShouldContain("no such key exists");
        var spec = JobFile.Parse(Sound);
        spec.Given.Add("seed");

        JobSpecValidator.Complete(spec).Given.ShouldBeEmpty();
        JobFile.WriteGiven(JobFile.Parse(Sound)).ShouldBe(JobFile.Write(spec), "of which nothing is known");
    }

    public static TheoryData<OptimizerSpec> Optimizers =>
    [
        new OptimizerSpec { Name = "sgd", LearningRate = 0.01, Momentum = 0.9 },
        new OptimizerSpec { Name = "adam", LearningRate = 0.001, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8 },
        new OptimizerSpec { Name = "adamw", LearningRate = 0.001, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8 },
        new OptimizerSpec { Name = "rmsprop", LearningRate = 0.01, Momentum = 0.9, Decay = 0.9, Epsilon = 1e-8 },
        new OptimizerSpec { Name = "lars", LearningRate = 1, Momentum = 0.9, TrustCoefficient = 0.001 },
    ];

    [Theory]
    [InlineData("mesh: { data: 2, model: 2 }", Parallelism.Model, 4, 2, 2, 1)]
    [InlineData("mesh: { model: 2 }\nresources: { devices: 6 }", Parallelism.Model, 6, 3, 2, 1)]
    [InlineData("parallelism: model\nresources: { devices: 2 }", Parallelism.Model, 2, 1, 2, 1)]
    [InlineData("parallelism: data\nresources: { devices: 3 }", Parallelism.Data, 3, 3, 1, 1)]
    [InlineData("mesh: { data: 3 }", Parallelism.Data, 3, 3, 1, 1)]
    [InlineData("mesh: { data: 2, pipeline: 3 }", Parallelism.Pipeline, 6, 2, 1, 3)]
    [InlineData("mesh: { pipeline: 2 }\nresources: { devices: 4 }", Parallelism.Pipeline, 4, 2, 1, 2)]
    [InlineData("mesh: { data: 2 }\nparallelism: pipeline\nresources: { devices: 4 }", Parallelism.Pipeline, 4, 2, 1, 2)]
    [InlineData("mesh: { data: 1, model: 1, pipeline: 2 }", Parallelism.Pipeline, 2, 1, 1, 2)]
    [InlineData("parallelism: pipeline\nresources: { devices: 3 }", Parallelism.Pipeline, 3, 1, 1, 3)]
    public void Parse_OfAMesh_FillsWhatFollowsFromIt(string given, Parallelism parallelism, int devices, int data, int model, int pipeline)
    {
        var spec = JobFile.Parse("model: alexnet\ndata: mnist\n" + given);

        (spec.Parallelism, spec.Resources.Devices, spec.Mesh).ShouldBe(
            (parallelism, devices, new MeshSpec { Data = data, Model = model, Pipeline = pipeline }));
    }

    [Theory]
    [InlineData("parallelism: pipeline\nresources: { devices: 3 }", 12)]
    [InlineData("mesh: { data: 2, pipeline: 3 }\nhyperparameters: { globalBatchSize: 20 }", 10)]
    [InlineData("mesh: { pipeline: 3 }\nhyperparameters: { microBatches: 5 }", 5)]
    [InlineData("mesh: { data: 3 }", 0)]
    public void Parse_OfAPipeline_HasFourMicroBatchesAStageAsFarAsSamplesGo(string given, int microBatches) =>
        JobFile.Parse("model: alexnet\ndata: mnist\n" + given).Hyperparameters.MicroBatches.ShouldBe(microBatches);

    [Theory]
    [MemberData(nameof(Optimizers))]
    public void Parse_OfAnOptimizer_GivesItsOwnDefaultsAndNoneOfOthers(OptimizerSpec optimizer) =>
        JobFile.Parse($"model: lenet5\ndata: synthetic\nhyperparameters: {{ optimizer: {optimizer.Name} }}")
            .Hyperparameters.Optimizer.ShouldBe(optimizer);

    [Theory]
    [InlineData("constant", 0, 0.0, 0, 0.0)]
    [InlineData("cosine", 0, 0.0, 0, 0.0)]
    [InlineData("step", 10, 0.1, 0, 0.0)]
    [InlineData("plateau", 0, 0.1, 10, 0.0001)]
    public void Parse_OfASchedule_GivesItsOwnDefaultsAndNoneOfOthers(
        string name, int stepEpochs, double gamma, int patienceEpochs, double threshold) =>
        JobFile.Parse($"model: lenet5\ndata: synthetic\nhyperparameters: {{ schedule: {name} }}").Hyperparameters.Schedule.ShouldBe(
            new() { Name = name, StepEpochs = stepEpochs, Gamma = gamma, PatienceEpochs = patienceEpochs, Threshold = threshold });

    [Fact]
    public void Parse_WithoutValidationSamples_KeepsNoBestCheckpoint()
    {
        JobFile.Parse("model: lenet5\ndata: { name: mnist, validationSamples: 0 }").Checkpoints.KeepBest.ShouldBeFalse();
    }

    [Fact]
    public void Parse_OfSeveralFaults_ListsThemInTheFilesOrder()
    {
        var fault = Should.Throw<JobFileException>(() => JobFile.Parse("""
            seeed: 3
            model: lenet6
            data: mnist
            hyperparameters: { epochs: 0 }
            """));

        fault.Violations.Select(violation => (violation.Line, violation.Field, violation.Value))
            .ShouldBe([(1, "seeed", "3"), (2, "model", "lenet6"), (4, "hyperparameters.epochs", "0")]);
        fault.IsTooLarge.ShouldBeFalse();
    }

    [Fact]
    public void Parse_OfMoreThanOneMebibyte_RefusesItUnread()
    {
        // Umlauts take two bytes each: half as many characters as bytes.
        var yaml = "# " + new string('ü', JobFile.MaxBytes / 2);

        var fault = Should.Throw<JobFileException>(() => JobFile.Parse(yaml));

        fault.IsTooLarge.ShouldBeTrue();
        fault.Message.ShouldBe("job file is 1048578 bytes long but must be at most 1048576; "
            + "name models and data by their catalogue names instead of writing them out");
    }

    [Fact]
    public void Parse_OfExactlyOneMebibyte_ReadsIt()
    {
        const string Job = "model: lenet5\ndata: mnist\n#";

        JobFile.Parse(Job + new string('x', JobFile.MaxBytes - Job.Length)).Model.Name.ShouldBe("lenet5");
    }

    [Fact]
    public void Message_ShowsForeignTextOnOneShortLine()
    {
        var fault = Should.Throw<JobFileException>(() => JobFile.Parse($"model: \"{new string('x', 500)}\\n\\e[31m\"\ndata: mnist"));

        fault.Message.ShouldBe($"line 1: model is {new string('x', 60)}… but no model of that name is known; "
            + $"the known ones are {string.Join(", ", ModelCatalog.All.Select(model => model.Name))}");
    }
}
