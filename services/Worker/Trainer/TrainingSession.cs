using System.Diagnostics;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Models.AlexNet;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Devices.Cuda;
using Cluster.Worker.Inference;
using Cluster.Worker.Parallel;
using Cluster.Worker.Telemetry;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using TorchSharp;

namespace Cluster.Worker.Trainer;

/// <summary>
/// One rank's training: joins its peers, builds what the job describes, resumes, and loops to the end; or evaluates or predicts with given
/// weights.
/// </summary>
public sealed class TrainingSession : ITrainingSession
{
    private readonly MeasureLayouts _measureLayouts;

    public TrainingSession()
        : this(LayoutMeasurement.Take)
    {
    }

    /// <param name="measureLayouts">How images' layout is found where the job leaves it open.</param>
    internal TrainingSession(MeasureLayouts measureLayouts) => _measureLayouts = measureLayouts;

    /// <inheritdoc/>
    public TrainerOutcome Run(TrainerContext context, CancellationToken cancellationToken)
    {
        using var span = StartSpan(context.Launch);
        try
        {
            torch.set_num_threads(Math.Max(1, context.Launch.Threads));
            var settings = new ConfigurationBuilder().AddEnvironmentVariables().Build();
            var collectives = TrainerSettings.Read<CollectiveOptions>(settings, CollectiveOptions.SectionName);
            var gradients = TrainerSettings.Read<GradientOptions>(settings, GradientOptions.SectionName);
            var indexes = TrainerSettings.Read<DataIndexOptions>(settings, DataIndexOptions.SectionName);
            // Before peers wait for this rank in an exchange, since nodes differ in how long it takes.
            var listed = ListedData.Read(context, indexes, cancellationToken);
            using var group = TrainingGroup.Join(context, collectives, cancellationToken);
            GpuKernels.Choose(context.Launch.Spec.Hyperparameters);
            return context.Launch.Spec.IsTraining()
                ? Train(context, listed, group, gradients, collectives.CudaLibrary, cancellationToken)
                : InferenceSession.Run(context, listed, group, cancellationToken);
        }
        catch (Exception e) when (e is JobMisconfiguredException or ModelOptionException
            || e is DataSetException and not DataUnavailableException)
        {
            span?.SetStatus(ActivityStatusCode.Error, e.Message);
            return TrainerOutcome.Misconfigured(e.Message);
        }
        catch (Exception e) when (OrderFault.Find(e) is { } refusal)
        {
            span?.SetStatus(ActivityStatusCode.Error, refusal);
            return TrainerOutcome.Misconfigured(refusal);
        }
    }

    private TrainerOutcome Train(
        TrainerContext context, ListedData listed, ICollectiveGroup group, GradientOptions gradients, string cudaLibrary,
        CancellationToken cancellationToken)
    {
        var spec = context.Launch.Spec;
        var data = AgreedData.Of(listed, context, group);
        var parts = DataParts.Cut(data, spec.Data.ValidationSamples, spec.Data.TrainSamples);
        var plan = TrainingPlan.From(spec.Hyperparameters, parts.Train.Count);
        var schedule = new LearningRateSchedule(spec.Hyperparameters.Schedule, spec.Hyperparameters.Optimizer.LearningRate, plan);

        var logger = context.LoggerFactory.CreateLogger<TrainingSession>();
        using var partition = TrainingPartitions.CreateAsync(spec, group, context.Launch.Device, gradients, logger, cancellationToken)
            .GetAwaiter().GetResult();
        TrainingPartitions.EnsureFits(partition.Network.Shape, data.Definition);
        using var optimizer = OptimizerFactory.Create(spec.Hyperparameters.Optimizer, partition);
        using var average = spec.Hyperparameters.AverageDecay > 0
            ? new WeightAverage(partition.Parameters, partition.Network, spec.Hyperparameters.AverageDecay, partition.OwnStatistics)
            : null;
        var device = TrainingPartitions.DeviceOf(context.Launch.Device);
        using var feed = device.type == DeviceType.CUDA
            ? new DeviceFeed(new CudaDevice(new CudaDriver(cudaLibrary), device.index), device)
            : null;
        var setup = new TrainingSetup
        {
            Spec = spec,
            Plan = plan,
            TrainUntil = context.Launch.TrainUntil > 0 ? Math.Min(context.Launch.TrainUntil, plan.Epochs) : plan.Epochs,
            Schedule = schedule,
            Partition = partition,
            Optimizer = optimizer,
            Average = average,
            Group = group,
            Data = parts,
            Renderer = SampleRenderers.For(data, spec, partition.Network.Shape.InputSize),
            LoaderThreads = BatchSource.Threads(spec.Data, data.Definition, context.Launch.Threads, device.type),
            Placement = BatchPlacement.For(spec, partition.Network.Shape, device),
            Feed = feed,
        };

        var position = BeginAsync(context, setup, cancellationToken).GetAwaiter().GetResult();
        partition.Network.UseKernels(position.Kernels ?? true);
        setup = setup with { Placement = BatchPlacement.For(spec, partition.Network.Shape, device, position.ChannelsLast) };
        var report = new StepReport(context.Reporter, new RankTimes(group.Rank, group.WorldSize), plan, spec.Hyperparameters);
        report.Started(EnvironmentReport.Take(group, setup.Network, context.Launch.Threads, setup.Placement));
        using var watch = new StepWatch(context.Operations, context.Reporter, context.TimeProvider);
        var loop = new TrainingLoop(
            setup, context.CheckpointWriter, report, watch, context.Stop, context.TimeProvider,
            context.LoggerFactory.CreateLogger<TrainingLoop>());
        return loop.Run(position, cancellationToken);
    }

    private async Task<TrainingPosition> BeginAsync(TrainerContext context, TrainingSetup setup, CancellationToken cancellationToken)
    {
        if (await context.OpenResumeCheckpointAsync(cancellationToken) is { } checkpoint)
        {
            return await WeightsRead.ByAllAsync(
                context, checkpoint, () => TrainingCheckpoint.RestoreAsync(setup, checkpoint, cancellationToken), cancellationToken);
        }

        if (context.Launch.Spec.HasInitialWeights())
        {
            await InitialWeights.LoadAsync(context, setup.Network, setup.Partition.Parameters, cancellationToken);
            setup.Average?.Restart();
        }

        if (!BatchPlacement.IsOpen(setup.Spec, setup.Placement.Device))
            return TrainingPosition.Start;
        var logger = context.LoggerFactory.CreateLogger(typeof(AgreedLayout));
        var choice = AgreedLayout.Choose(setup.Spec, setup.Partition, setup.Group, _measureLayouts, logger, cancellationToken);
        return TrainingPosition.Start with { ChannelsLast = choice.ChannelsLast, Kernels = choice.Kernels };
    }

    /// <summary>Under the process's span if it has one, else under the attempt's, which the launch names.</summary>
    private static Activity? StartSpan(TrainerLaunch launch)
    {
        var parent = Activity.Current is null
            && ActivityContext.TryParse(launch.Traceparent, launch.Tracestate, isRemote: true, out var attempt)
            ? attempt
            : default;
        return WorkerTelemetry.Trainer.StartActivity("training.run", ActivityKind.Internal, parent);
    }
}
