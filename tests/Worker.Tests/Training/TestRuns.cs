using Cluster.Contracts.V1;
using Cluster.Worker.Trainer;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Worker.Tests.Training;

/// <summary>Small jobs on generated data, run in the test's process with a thread for each rank.</summary>
internal static class TestRuns
{
    /// <summary>LeNet-5 on 400 synthetic samples in batches of 20, two epochs.</summary>
    public static JobSpec AJob(Action<JobSpec>? change = null)
    {
        var spec = new JobSpec
        {
            Name = "test",
            Seed = 11,
            Parallelism = Parallelism.Data,
            Model = new ModelSpec
            {
                Name = "lenet5",
                Options = { ["inputSize"] = Whole(28), ["activation"] = Word("relu"), ["init"] = Word("he") },
            },
            Data = new DataSpec
            {
                Name = "synthetic",
                TrainSamples = 400,
                ValidationSamples = 50,
                Augmentation = new Augmentation { CropPadding = 1 },
            },
            Hyperparameters = new Hyperparameters
            {
                Epochs = 2,
                GlobalBatchSize = 20,
                Precision = Precision.Float32,
                Optimizer = new OptimizerSpec
                {
                    Name = "sgd",
                    LearningRate = 0.05,
                    Momentum = 0.9,
                    WeightDecay = 5e-4,
                    Beta1 = 0.9,
                    Beta2 = 0.999,
                    Epsilon = 1e-8,
                    Decay = 0.9,
                    TrustCoefficient = 0.01,
                },
                Schedule = new ScheduleSpec { Name = "cosine" },
            },
            Checkpoints = new CheckpointPolicy { EveryEpochs = 1 },
        };
        change?.Invoke(spec);
        return spec;
    }

    /// <summary>A narrow AlexNet with dropout and normalisation, which can be split by model too.</summary>
    public static JobSpec AnAlexNetJob(Action<JobSpec>? change = null) => AJob(spec =>
    {
        spec.Model = new ModelSpec
        {
            Name = "alexnet",
            Options =
            {
                ["inputSize"] = Whole(28), ["channels"] = Whole(1), ["classes"] = Whole(10), ["init"] = Word("he"),
                ["width"] = new OptionValue { DoubleValue = 0.03125 },
            },
        };
        spec.Hyperparameters.Optimizer.LearningRate = 0.01;
        change?.Invoke(spec);
    });

    /// <summary>A narrow MobileNet v1, which has batch normalisation.</summary>
    public static JobSpec AMobileNetJob(Action<JobSpec>? change = null) => AJob(spec =>
    {
        spec.Model = new ModelSpec
        {
            Name = "mobilenet_v1",
            Options =
            {
                ["inputSize"] = Whole(28), ["channels"] = Whole(1), ["classes"] = Whole(10), ["init"] = Word("he"),
                ["widthMultiplier"] = new OptionValue { DoubleValue = 0.125 },
            },
        };
        change?.Invoke(spec);
    });

    /// <summary>
    /// Runs all ranks to their end; with <paramref name="dataRoots"/>, on nodes that have each its own. Images lie as suits the
    /// network, unless <paramref name="layouts"/> says what was measured: real times would differ from run to run.
    /// </summary>
    public static async Task<TrainerOutcome[]> RunAsync(
        InMemoryCluster cluster, JobSpec spec, int worldSize = 1, string resumeFrom = "", Action<TrainerStop>? stop = null,
        TimeProvider? time = null,
        string dataRoot = "/nonexistent", ILoggerFactory? logs = null, string deviceKind = "cpu", IReadOnlyList<string>? dataRoots = null,
        MeasureLayouts? layouts = null, int trainUntil = 0)
    {
        var token = TestContext.Current.CancellationToken;
        return await Task.WhenAll(Enumerable.Range(0, worldSize).Select(rank => Task.Factory.StartNew(
            () => RunRankAsync(
                cluster, spec, worldSize, rank, resumeFrom, stop, time ?? TimeProvider.System,
                dataRoots is null ? dataRoot : dataRoots[rank], logs ?? NullLoggerFactory.Instance, deviceKind, layouts, trainUntil, token),
            token, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
    }

    public static OptionValue Whole(long value) => new() { IntValue = value };

    public static OptionValue Word(string value) => new() { StringValue = value };

    private static async Task<TrainerOutcome> RunRankAsync(
        InMemoryCluster cluster, JobSpec spec, int worldSize, int rank, string resumeFrom, Action<TrainerStop>? stop, TimeProvider time,
        string dataRoot, ILoggerFactory logs, string deviceKind, MeasureLayouts? layouts, int trainUntil, CancellationToken token)
    {
        var launch = new TrainerLaunch
        {
            JobId = Guid.NewGuid().ToString(),
            Attempt = 1,
            AttemptSecret = "secret",
            Spec = spec,
            WorldSize = worldSize,
            Rank = rank,
            LocalRank = rank,
            Device = $"{deviceKind}:{rank}",
            NodeId = "node",
            NodeName = $"node of {dataRoot}",
            DataRoot = dataRoot,
            ResumeCheckpointId = resumeFrom,
            Threads = 1,
            TrainUntil = trainUntil,
        };
        using var wish = new TrainerStop(TimeProvider.System);
        if (rank == worldSize - 1)
            stop?.Invoke(wish);
        await using var context = new TrainerContext(launch, cluster.Link(rank), wish, logs, time);
        var outcome = new TrainingSession(layouts ?? ((_, _, _, _) => default)).Run(context, token);
        await context.Reporter.FlushAsync(token);
        return outcome;
    }
}
