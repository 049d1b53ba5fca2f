using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.Tests.JobFiles;

/// <summary>A spec written as a job file and read again is the same spec, whatever it holds.</summary>
public sealed class JobFileRoundTripTests
{
    [Fact]
    public void Write_ThenParse_GivesTheSameSpec() =>
        Prop.ForAll(Specs().ToArbitrary(), spec =>
        {
            var complete = JobSpecValidator.Complete(spec);
            JobFile.Parse(JobFile.Write(complete)).ShouldBe(complete);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Parse_OfAnyText_EitherReadsItOrRefusesItInOneLine() =>
        Prop.ForAll(Texts().ToArbitrary(), text =>
        {
            try
            {
                JobFile.Parse(text).Model.Name.ShouldNotBeEmpty();
            }
            catch (JobFileException refused)
            {
                refused.Message.ShouldNotContain('\n');
                refused.Violations.ShouldNotBeEmpty();
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    // Pieces of YAML in any order reach the parser's corners more often than letters do.
    private static Gen<string> Texts() => Gen
        .Elements("model", "data", "lenet5", ": ", ":", "\n", "  ", "- ", "[", "]", "{", "}", "\"", "'", "#", "&a ", "*a", "!x ", "|", ">",
            "? ", "---\n", "%", "@", "\t", "0", "-", "ü", "\0")
        .ListOf()
        .Select(string.Concat);

    private static Gen<JobSpec> Specs() =>
        from model in Gen.Elements(ModelCatalog.All.ToArray())
        from data in Gen.Elements(DataCatalog.All.ToArray())
        from labels in Labels()
        from nodeLabels in Labels()
        from priority in Gen.Choose(-1000, 1000)
        from training in Training()
        from devices in Gen.Choose(1, 8)
        from perNode in Gen.Choose(0, 4)
        from kind in training.Precision == Precision.Tf32
            ? Gen.Elements(DeviceKind.Cuda, DeviceKind.Any)
            : Gen.Elements(DeviceKind.Cpu, DeviceKind.Cuda, DeviceKind.Any)
        from seed in Gen.Elements(1UL, 42UL, ulong.MaxValue)
        from backoff in Gen.Choose(0, 5_000_000)
        select new JobSpec
        {
            Labels = { labels },
            Priority = priority,
            Model = new ModelSpec { Name = model.Name },
            Data = Data(data, model, training),
            Hyperparameters = training,
            Resources = new ResourceSpec { Devices = devices, MaxDevicesPerNode = perNode, DeviceKind = kind, NodeLabels = { nodeLabels } },
            Restarts = new RestartPolicy
            {
                InitialBackoff = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(backoff)),
                MaxBackoff = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(backoff + 1)),
            },
            Seed = seed,
        };

    private static DataSpec Data(DataDefinition data, ModelDefinition model, Hyperparameters training) => !data.IsFolder
        ? new DataSpec { Name = data.Name, ValidationSamples = training.Schedule.Name == "plateau" ? 100 : 0 }
        : model.Option(ModelCatalog.InputSize)!.IsAllowed(new OptionValue { IntValue = data.Height })
            ? new DataSpec
            {
                Name = data.Name,
                Folder = "1.5",
                Classes = 7,
                MaxBrokenImages = 3,
                Normalization = new Normalization { Mean = "0.5", Deviation = "0.25" },
                Channels = 1,
                Augmentation = new Augmentation { Crop = DataCatalog.RandomResizedCrop, MaxRatio = 1.5 },
            }
            : new DataSpec { Name = DataCatalog.Synthetic, Channels = 3, ImageSize = 32, ValidationSamples = 100 };

    private static Gen<Hyperparameters> Training() =>
        from epochs in Gen.Choose(1, 1000)
        from batch in Gen.Choose(8, 512)
        from optimizer in Gen.Elements("sgd", "adam", "adamw", "rmsprop", "lars")
        from rate in Gen.Choose(1, 1_000_000)
        from schedule in Gen.Elements("constant", "step", "cosine", "plateau")
        from precision in Gen.Elements(Precision.Float32, Precision.Tf32, Precision.Float64, Precision.Bfloat16)
        select new Hyperparameters
        {
            Epochs = epochs,
            GlobalBatchSize = batch,
            Optimizer = new OptimizerSpec
            {
                Name = optimizer,
                LearningRate = Math.BitIncrement(rate * 1e-7),
                Epsilon = optimizer is "adam" or "adamw" or "rmsprop" ? 1e-300 : 0,
                Decay = optimizer == "rmsprop" ? 0.3 : 0,
                TrustCoefficient = optimizer == "lars" ? 0.3 : 0,
            },
            Schedule = new ScheduleSpec
            {
                Name = schedule,
                StepEpochs = schedule == "step" ? epochs : 0,
                Gamma = schedule is "step" or "plateau" ? 0.1 : 0,
                PatienceEpochs = schedule == "plateau" ? epochs : 0,
                Threshold = schedule == "plateau" ? 1e-300 : 0,
            },
            Precision = precision,
            ClipNorm = rate * 1e-7,
            AccumulationSteps = batch / 8,
            AverageDecay = 1 - (rate * 1e-7),
        };

    // Values that YAML would take for something else unless they are quoted.
    private static Gen<Dictionary<string, string>> Labels() =>
        from keys in Gen.Elements("team", "1", "true", "null", "no", "a/b", "1.5", "on").ListOf()
        from values in Gen.Elements("", "x", "~", "null", "true", "1e3", "- a", "a: b", "\"", "'", "#", "ü", "{}", " x ", "*a", "!t", "%",
            "\\").ListOf(8)
        select keys.Distinct().Zip(values).ToDictionary(pair => pair.First, pair => pair.Second);
}
