using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using Device = TorchSharp.torch.Device;

namespace Cluster.Worker.Training;

/// <summary>From a job's words to the part of its network that a rank computes.</summary>
internal static class TrainingPartitions
{
    public static async Task<ITrainingPartition> CreateAsync(
        JobSpec spec, ICollectiveGroup group, string device, GradientOptions gradients, ILogger logger, CancellationToken cancellationToken)
    {
        var options = OptionsOf(spec.Model);
        var precision = PrecisionOf(spec.Hyperparameters.Precision);
        var inBFloat16 = spec.Hyperparameters.Precision == Precision.Bfloat16;
        var loss = Loss(spec.Hyperparameters.LabelSmoothing);
        try
        {
            if (spec.Mesh is { Data: > 1, Model: > 1 } mesh)
                return await MeshParallel.CreateAsync(Part, loss, group, mesh.Model, gradients, cancellationToken);
            if (spec.Parallelism == Parallelism.Model)
                return ModelParallel.Create(Part, loss, group);
            if (spec.Parallelism == Parallelism.Hybrid)
                return await HybridParallel.CreateAsync(
                    Part, loss, group, gradients, spec.Hyperparameters.SyncBatchNorm, cancellationToken);
            if (spec.Parallelism == Parallelism.Pipeline)
                return await PipelineParallel.CreateAsync(
                    Whole, loss, group, PipelineOf(spec, group, gradients), logger, cancellationToken);
            var network = Whole();
            return group.WorldSize == 1
                ? new SingleDevice(network, loss, inBFloat16)
                : await DataParallel.CreateAsync(
                    network, loss, group, gradients, spec.Hyperparameters.SyncBatchNorm, cancellationToken, inBFloat16);
        }
        catch (NotSupportedException e)
        {
            throw new JobMisconfiguredException(e.Message);
        }

        ImageClassifier Whole() => ModelRegistry.Create(spec.Model.Name, options, spec.Seed, precision).to(DeviceOf(device));
        ImageClassifier Part(ChannelSplit split) =>
            ModelRegistry.CreatePart(spec.Model.Name, options, spec.Seed, split, precision).to(DeviceOf(device));
    }

    private static PipelineSetup PipelineOf(JobSpec spec, ICollectiveGroup group, GradientOptions gradients)
    {
        var training = spec.Hyperparameters;
        var stages = spec.Mesh?.Pipeline is > 0 and var given ? given : group.WorldSize;
        var microBatchesOfAll = training.MicroBatches * (group.WorldSize / stages);
        return new PipelineSetup(
            stages, training.MicroBatches, training.GlobalBatchSize / Math.Max(1, microBatchesOfAll), training.SyncBatchNorm, gradients);
    }

    /// <exception cref="JobMisconfiguredException">The network takes other images than the data set has.</exception>
    public static void EnsureFits(ClassifierShape network, DataDefinition data)
    {
        if (network.Channels != data.Channels)
            throw new JobMisconfiguredException(
                $"model.options.channels is {network.Channels} but {data.Name} has {data.Channels}; make them equal");
        if (!data.IsFolder && network.InputSize < Math.Max(data.Height, data.Width))
            throw new JobMisconfiguredException(
                $"model.options.inputSize is {network.InputSize} but images of {data.Name} have {data.Height}×{data.Width} pixels; "
                    + "raise it");
        if (network.Classes < data.Classes)
            throw new JobMisconfiguredException($"model.options.classes is {network.Classes} but {data.Name} has {data.Classes}; raise it");
    }

    /// <summary>A model's options as the registry takes them.</summary>
    public static Dictionary<string, object> OptionsOf(ModelSpec model) =>
        model.Options.ToDictionary(option => option.Key, option => Plain(option.Value));

    /// <summary>Of weights, gradients and losses.</summary>
    public static ScalarType PrecisionOf(Precision precision) => precision == Precision.Float64 ? ScalarType.Float64 : ScalarType.Float32;

    /// <summary>Of images, and of what passes between layers.</summary>
    public static ScalarType ComputationOf(Precision precision) =>
        precision == Precision.Bfloat16 ? ScalarType.BFloat16 : PrecisionOf(precision);

    /// <summary>
    /// "cpu:3" is a slot of cores, all of which share one memory; of "cuda:1" the agent lets this process see nothing but that one, as its
    /// first.
    /// </summary>
    public static Device DeviceOf(string device) => device.StartsWith("cuda", StringComparison.Ordinal) ? torch.device("cuda:0") : CPU;

    /// <summary>
    /// Cross-entropy; smoothed towards the uniform distribution (Szegedy et al. 2015, arXiv:1512.00567, §7) only where a gradient is
    /// wanted, so that validation and test losses can be compared between jobs.
    /// </summary>
    private static SummedLoss Loss(double labelSmoothing) => (logits_NK, labels_N) => nn.functional.cross_entropy(
        logits_NK, labels_N, reduction: nn.Reduction.Sum, label_smoothing: logits_NK.requires_grad ? labelSmoothing : 0);

    private static object Plain(OptionValue value) => value.KindCase switch
    {
        OptionValue.KindOneofCase.BoolValue => value.BoolValue,
        OptionValue.KindOneofCase.IntValue => value.IntValue,
        OptionValue.KindOneofCase.DoubleValue => value.DoubleValue,
        _ => value.StringValue,
    };
}
