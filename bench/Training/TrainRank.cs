using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Scaling;
using Cluster.Contracts.V1;
using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Devices.Cuda;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using Microsoft.Extensions.Logging.Abstractions;
using TorchSharp;

namespace Cluster.Bench.Training;

/// <summary>One of our ranks, as a process: the step of a job's trainer, on one batch that lies ready.</summary>
internal sealed class TrainRank : IDisposable
{
    private const string Verb = "train-rank";

    private readonly ITrainingPartition _partition;
    private readonly IOptimizer _optimizer;
    private readonly TrainingStep _step;
    private readonly HostBatch _batch;
    private readonly DeviceFeed? _feed;
    private readonly ICollectiveGroup _group;
    private readonly double _learningRate;
    private long _stepsDone;

    private TrainRank(JobSpec spec, TrainCase network, ICollectiveGroup group, CancellationToken cancellationToken)
    {
        _group = group;
        var training = spec.Hyperparameters;
        _learningRate = training.Optimizer.LearningRate;
        _partition = TrainingPartitions.CreateAsync(spec, group, $"{network.Device}:0", new GradientOptions(), NullLogger.Instance,
            cancellationToken).GetAwaiter().GetResult();
        _partition.Network.train();
        _optimizer = OptimizerFactory.Create(training.Optimizer, _partition);
        var update = new ParameterUpdate(training, _partition, _optimizer, average: null, group);
        var device = TrainingPartitions.DeviceOf(network.Device);
        _feed = network.IsOnGpu
            ? new DeviceFeed(new CudaDevice(new CudaDriver(new CollectiveOptions().CudaLibrary), device.index), device)
            : null;
        // As a job finds it.
        PassChoice? choice = BatchPlacement.IsOpen(spec, device)
            ? AgreedLayout.Choose(spec, _partition, group, LayoutMeasurement.Take, NullLogger.Instance, cancellationToken)
            : null;
        _partition.Network.UseKernels(choice?.Kernels ?? true);
        var placement = BatchPlacement.For(spec, _partition.Network.Shape, device, choice?.ChannelsLast);
        _step = new TrainingStep(training, _partition, update, placement, _feed, TimeProvider.System);
        _batch = MakeBatch(network, group, _partition);
    }

    /// <param name="place">Where it runs.</param>
    /// <param name="arguments">As <see cref="Build"/> reads them.</param>
    public static MeasuredProcess Start(TrainerPlace place, IEnumerable<string> arguments) =>
        MeasuredProcess.StartOurs(place, [Verb, .. arguments]);

    /// <summary>Where a rank leaves what the peer must begin with: the parameters that it owns.</summary>
    public static string WeightsFile(string folder, int rank) => Path.Combine(folder, $"weights-{rank}.safetensors");

    /// <summary>Where all of them are, once they have been put together.</summary>
    public static string WholeWeightsFile(string folder) => Path.Combine(folder, "weights.safetensors");

    /// <summary>Where a rank leaves its samples.</summary>
    public static string BatchFile(string folder, int rank) => Path.Combine(folder, $"batch-{rank}.safetensors");

    /// <summary>Where it leaves the gradients of these.</summary>
    public static string GradientsFile(string folder, int rank) => Path.Combine(folder, $"gradients-{rank}.safetensors");

    public static Command Build()
    {
        var folder = new Argument<string>("folder");
        var rank = new Argument<int>("rank");
        var worldSize = new Argument<int>("world-size");
        var threads = new Argument<int>("threads");
        var network = new Argument<string>("case");
        var command = new Command(Verb, "one rank of train") { folder, rank, worldSize, threads, network };
        command.Hidden = true;
        command.SetAction((arguments, cancellationToken) => TrainingThread.Run(() => Obey(
            arguments.GetValue(folder)!, arguments.GetValue(rank), arguments.GetValue(worldSize), arguments.GetValue(threads),
            JsonSerializer.Deserialize<TrainCase>(arguments.GetValue(network)!)!, cancellationToken)));
        return command;
    }

    public void Dispose()
    {
        _feed?.Dispose();
        _batch.Dispose();
        _optimizer.Dispose();
        _partition.Dispose();
        _group.Dispose();
    }

    /// <returns>The exit code.</returns>
    private static int Obey(string folder, int rank, int worldSize, int threads, TrainCase network, CancellationToken cancellationToken)
    {
        torch.set_num_threads(threads);
        var spec = Spec(network, worldSize);
        GpuKernels.Choose(spec.Hyperparameters);
        int? cudaDevice = network.IsOnGpu && worldSize > 1 ? 0 : null;
        var group = BenchGroup.JoinAsync(folder, rank, worldSize, "node", new CollectiveOptions(), cancellationToken,
            cudaDevice: cudaDevice).GetAwaiter().GetResult();
        using var me = new TrainRank(spec, network, group, cancellationToken);
        if (network.Split is TrainCase.ByData or TrainCase.ByModel)
            me.WriteStart(folder, network);
        group.Barrier("files");
        Console.WriteLine(JsonSerializer.Serialize(new TrainAnswer(0, 0)));
        while (Console.In.ReadLine() is { } line)
        {
            var order = JsonSerializer.Deserialize<TrainOrder>(line)!;
            Console.WriteLine(JsonSerializer.Serialize(order switch
            {
                { Steps: 0 } => me.Check(order),
                { ProfilesExchange: true } => me.Profile(order.Steps),
                _ => me.Train(order.Steps),
            }));
        }

        return 0;
    }

    /// <summary>The job that the bench's ranks train.</summary>
    public static JobSpec Spec(TrainCase network, int worldSize) => new()
    {
        Seed = 1,
        Parallelism = Enum.Parse<Parallelism>(network.Split, ignoreCase: true),
        Mesh = new MeshSpec(),
        Model = new ModelSpec
        {
            Name = network.Model,
            Options =
            {
                ["channels"] = new OptionValue { IntValue = network.Channels },
                ["inputSize"] = new OptionValue { IntValue = network.InputSize },
                ["classes"] = new OptionValue { IntValue = network.Classes },
                // VGG as published begins with a loss of millions on noise, and a step on that overflows.
                ["init"] = new OptionValue { StringValue = "he" },
            },
        },
        Hyperparameters = new Hyperparameters
        {
            GlobalBatchSize = network.Batch * worldSize,
            MicroBatches = StepModel.MicroBatchesAStage * worldSize,
            Precision = Enum.Parse<Precision>(network.Precision, ignoreCase: true),
            MemoryFormat = network.MemoryFormat,
            SyncBatchNorm = network.SyncBatchNorm,
            Schedule = new ScheduleSpec(),
            Optimizer = new OptimizerSpec
            {
                Name = "sgd",
                LearningRate = TrainCase.LearningRate,
                Momentum = TrainCase.Momentum,
                WeightDecay = TrainCase.WeightDecay,
            },
        },
    };

    private static HostBatch MakeBatch(TrainCase network, ICollectiveGroup group, ITrainingPartition partition)
    {
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(network.Split == TrainCase.ByData ? group.Rank : 0); // parts of a network see the same batch
        var globalSize = network.Batch * group.WorldSize;
        var made = new HostBatch(
            partition.LocalSamples(globalSize).Count, globalSize, views: 1, network.Channels * network.InputSize * network.InputSize);
        var images = torch.randn(made.Images.Length, dtype: torch.ScalarType.Float32);
        MemoryMarshal.Cast<byte, float>(images.bytes).CopyTo(made.Images);
        var labels = torch.randint(0, network.Classes, [made.Labels.Length], dtype: torch.ScalarType.Int64);
        MemoryMarshal.Cast<byte, long>(labels.bytes).CopyTo(made.Labels);
        return made;
    }

    /// <summary>This rank's batch and weights, for the peers.</summary>
    private void WriteStart(string folder, TrainCase network)
    {
        using var scope = torch.NewDisposeScope();
        var (images, labels) = _batch.ToTensors(network.Channels, network.InputSize, torch.ScalarType.Float32, torch.CPU);
        TensorFile.Write(BatchFile(folder, _group.Rank), [("images", images), ("labels", labels)]);
        var owned = _partition.Parameters.Where(parameter => parameter.IsOwner);
        TensorFile.Write(WeightsFile(folder, _group.Rank), owned.Select(parameter => (parameter.Name, parameter.Tensor.cpu())));
    }

    private TrainAnswer Check(TrainOrder order)
    {
        var dropouts = _partition.Network.modules().OfType<CounterDropout>().ToList();
        dropouts.ForEach(layer => layer.eval());
        Span<double> lossSum = [_step.ForwardBackward(_batch, _stepsDone).LossSum];
        if (_group.WorldSize > 1)
            _group.AllReduce(lossSum, "check");
        dropouts.ForEach(layer => layer.train());
        TensorFile.Write(
            GradientsFile(order.Folder, _group.Rank),
            _partition.Parameters.Where(parameter => parameter.IsOwner)
                .Select(parameter => (parameter.Name, parameter.Tensor.grad!.cpu())));
        return new TrainAnswer(0, lossSum[0] / _batch.GlobalSize);
    }

    private TrainAnswer Train(int steps)
    {
        _step.Run(_batch, _stepsDone++, _learningRate);
        var loss = double.NaN;
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < steps; i++)
            loss = _step.Run(_batch, _stepsDone++, _learningRate, next: _batch).Outcome.Loss;
        WaitForUpdate();
        return new TrainAnswer(Stopwatch.GetElapsedTime(began).TotalSeconds / steps, loss);
    }

    /// <summary>Without updates, which exchange nothing that backward could hide.</summary>
    private TrainAnswer Profile(int steps)
    {
        using var exchanges = new ExchangeRecorder();
        var profiles = new List<ExchangeProfile>();
        for (var i = 0; i <= steps; i++)
        {
            exchanges.Begin();
            var share = _step.ForwardBackward(_batch, _stepsDone++);
            if (i > 0) // the first warms up
                profiles.Add(exchanges.End(share.Times));
        }

        return new TrainAnswer(0, 0, ExchangeProfile.Median(profiles));
    }

    /// <summary>A GPU may be at the last update still.</summary>
    private void WaitForUpdate()
    {
        using var scope = torch.NewDisposeScope();
        _partition.Parameters[^1].Tensor.sum().item<float>();
    }
}
