using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Parallel;
using Cluster.Worker.Telemetry;
using Cluster.Worker.Training;
using TorchSharp;

namespace Cluster.Worker.Inference;

/// <summary>
/// A rank's part in a job that has its weights already: builds the network, fills it, and evaluates or predicts. A restart begins anew.
/// </summary>
internal static class InferenceSession
{
    public static TrainerOutcome Run(TrainerContext context, ListedData listed, ICollectiveGroup group, CancellationToken cancellationToken)
    {
        var spec = context.Launch.Spec;
        var data = AgreedData.Of(listed, context, group);
        var parts = DataParts.Cut(data, spec.Data.ValidationSamples, spec.Data.TrainSamples);
        var (device, precision) = (
            TrainingPartitions.DeviceOf(context.Launch.Device), TrainingPartitions.PrecisionOf(spec.Hyperparameters.Precision));
        using var network = ModelRegistry.CreateToLoad(spec.Model.Name, TrainingPartitions.OptionsOf(spec.Model), precision).to(device);
        TrainingPartitions.EnsureFits(network.Shape, data.Definition);
        var parameters = LocalParameters.Of(network, isOwner: true);
        InitialWeights.LoadAsync(context, network, parameters, cancellationToken).GetAwaiter().GetResult();
        ReplicaWeights.RequireEqual(group, parameters);
        if (spec.Hyperparameters.Precision == Precision.Bfloat16)
            MixedPrecision.Narrow(network);

        if (group.Rank == 0)
            context.Reporter.Environment(EnvironmentReport.Take(group, network, context.Launch.Threads));
        context.Reporter.Started();
        var renderer = SampleRenderers.For(data, spec, network.Shape.InputSize);
        var setup = new InferenceSetup(
            network, renderer, BatchSource.Threads(spec.Data, data.Definition, context.Launch.Threads), group,
            BatchSource.EvaluationBatchSize(spec.Hyperparameters.GlobalBatchSize, renderer), spec.Data.MaxBrokenImages,
            BatchPlacement.For(spec, network.Shape, device));
        using var span = WorkerTelemetry.Trainer.StartActivity($"inference.{spec.Task.Name}");
        var done = spec.IsPrediction()
            ? new Predict(context, setup).Run(PartOf(parts, spec), cancellationToken)
            : new Evaluate(context, setup).Run(parts, cancellationToken);
        return done
            ? TrainerOutcome.Done
            : TrainerOutcome.Stopped(context.Stop.IsRequested ? context.Stop.Reason : "another rank was asked to stop");
    }

    private static ImagePart PartOf(DataParts parts, JobSpec spec)
    {
        var part = spec.Task.Part switch
        {
            DataPart.Train => parts.Train,
            DataPart.Validation => parts.Validation,
            _ => parts.Test,
        };
        return part.Count > 0
            ? part
            : throw new JobMisconfiguredException(
                $"task.part is {spec.Task.Part.ToString().ToLowerInvariant()} but {spec.Data.Folder} has no such part with "
                    + "labels; predict another");
    }
}
