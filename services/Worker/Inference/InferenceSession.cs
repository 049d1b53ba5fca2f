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

/// <summary>A rank's part in a job that has its weights already: builds the network, fills it, and evaluates or predicts. A restart begins anew.</summary>
internal static class InferenceSession
{
    public static TrainerOutcome Run(TrainerContext context, ICollectiveGroup group, CancellationToken cancellationToken)
    {
        var spec = context.Launch.Spec;
        var data = DataSetReader.Read(spec.Data, context.Launch.DataRoot);
        var parts = DataParts.Cut(data, spec.Data.ValidationSamples, spec.Data.TrainSamples);
        var (device, precision) = (TrainingPartitions.DeviceOf(context.Launch.Device), TrainingPartitions.PrecisionOf(spec.Hyperparameters.Precision));
        using var network = ModelRegistry.CreateToLoad(spec.Model.Name, TrainingPartitions.OptionsOf(spec), precision).to(device);
        TrainingPartitions.EnsureFits(network.Shape, data.Definition);
        var parameters = LocalParameters.Of(network, isOwner: true);
        InitialWeights.LoadAsync(context, network, parameters, cancellationToken).GetAwaiter().GetResult();
        ReplicaWeights.RequireEqual(group, parameters);

        if (group.Rank == 0)
            context.Reporter.Environment(EnvironmentReport.Take(group, network, context.Launch.Threads));
        context.Reporter.Started();
        var renderer = new StoredRenderer(data.Normalization, network.Shape.InputSize, new Augmentation(), spec.Seed);
        var setup = new InferenceSetup(network, renderer, Math.Max(1, spec.Data.LoaderThreads), group, spec.Hyperparameters.GlobalBatchSize, precision, device);
        using var span = WorkerTelemetry.Trainer.StartActivity($"inference.{spec.Task.Name}");
        var done = spec.IsPrediction()
            ? new Predict(context, setup).Run(PartOf(parts, spec.Task.Part), cancellationToken)
            : new Evaluate(context, setup).Run(parts, cancellationToken);
        return done ? TrainerOutcome.Done : TrainerOutcome.Stopped(context.Stop.IsRequested ? context.Stop.Reason : "another rank was asked to stop");
    }

    private static ImagePart PartOf(DataParts parts, DataPart part) => part switch
    {
        DataPart.Train => parts.Train,
        DataPart.Validation => parts.Validation,
        _ => parts.Test,
    };
}
