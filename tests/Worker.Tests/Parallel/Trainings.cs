using System.Runtime.InteropServices;
using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Microsoft.Extensions.Logging.Abstractions;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>The networks under test, batches that every rank can make for itself, and a plain gradient descent.</summary>
internal static class Trainings
{
    public const ulong Seed = 20261122;

    public const int BatchSize = 8;

    private const int Classes = 10;
    private const int InputSize = 28;
    private const double LearningRate = 0.05;

    private static readonly Dictionary<string, object> LeNet = new()
    {
        ["inputSize"] = (long)InputSize,
        ["init"] = "he",
    };

    // A sixteenth of the width, with all that makes AlexNet hard to split: groups, LRN within a tower, dropout before both hidden layers.
    private static readonly Dictionary<string, object> AlexNet = new()
    {
        ["inputSize"] = (long)InputSize,
        ["channels"] = 1L,
        ["classes"] = (long)Classes,
        ["width"] = 1.0 / 16,
        ["dropout"] = 0.5,
        ["lrn"] = true,
        ["init"] = "he",
    };

    // Normalisation over the batch in every block and, in shortcuts, in two places at once; four channels grow to 32.
    private static readonly Dictionary<string, object> ResNet = new()
    {
        ["inputSize"] = (long)InputSize,
        ["channels"] = 1L,
        ["classes"] = (long)Classes,
        ["width"] = 1.0 / 16,
    };

    // Normalisation in narrow layers, and dropout before the last of them.
    private static readonly Dictionary<string, object> MobileNet = new()
    {
        ["inputSize"] = (long)InputSize,
        ["channels"] = 1L,
        ["classes"] = (long)Classes,
        ["widthMultiplier"] = 1.0 / 8,
        ["init"] = "he",
    };

    // Layers that four ranks can share evenly, with dropout.
    private static readonly Dictionary<string, object> Divisible = new()
    {
        ["inputSize"] = (long)InputSize,
        ["channels"] = 1L,
        ["classes"] = 12L,
        ["width"] = 1.0 / 16,
        ["dropout"] = 0.5,
        ["init"] = "he",
    };

    public static SummedLoss CrossEntropy { get; } =
        (logits, labels) => nn.functional.cross_entropy(logits, labels, reduction: nn.Reduction.Sum);

    public static ImageClassifier Network(string name, ScalarType dtype, ulong seed = Seed) =>
        ModelRegistry.Create(name, OptionsOf(name), seed, dtype);

    public static ImageClassifier Part(string name, ScalarType dtype, ChannelSplit split) =>
        ModelRegistry.CreatePart(name, OptionsOf(name), Seed, split, dtype);

    public static ITrainingPartition Single(string name, ScalarType dtype) => new SingleDevice(Network(name, dtype), CrossEntropy);

    /// <summary>A replica with the weights that every rank starts from.</summary>
    /// <param name="name">The network.</param>
    /// <param name="dtype">Of its parameters.</param>
    /// <param name="group">The ranks.</param>
    /// <param name="bucketBytes">By default so that some buckets hold several layers and there are several buckets.</param>
    /// <param name="syncBatchNorm">Whether batch normalisation is over the whole batch.</param>
    public static DataParallel Data(
        string name, ScalarType dtype, ICollectiveGroup group, int bucketBytes = 64 << 10, bool syncBatchNorm = true) =>
        DataParallel.CreateAsync(
            Network(name, dtype), CrossEntropy, group, new GradientOptions { BucketBytes = bucketBytes }, syncBatchNorm,
            CancellationToken.None)
            .GetAwaiter().GetResult();

    public static ModelParallel Model(string name, ScalarType dtype, ICollectiveGroup group) =>
        ModelParallel.Create(split => Part(name, dtype, split), CrossEntropy, group);

    public static DataParallel Mesh(string name, ScalarType dtype, ICollectiveGroup group, int parts = 2) =>
        MeshParallel.CreateAsync(
            split => Part(name, dtype, split), CrossEntropy, group, parts, new GradientOptions { BucketBytes = 64 << 10 },
            CancellationToken.None)
            .GetAwaiter().GetResult();

    public static DataParallel Hybrid(string name, ScalarType dtype, ICollectiveGroup group) =>
        HybridParallel.CreateAsync(
            split => Part(name, dtype, split), CrossEntropy, group, new GradientOptions { BucketBytes = 64 << 10 }, syncBatchNorm: true,
            CancellationToken.None)
            .GetAwaiter().GetResult();

    public static PipelineParallel Pipeline(
        string name, ScalarType dtype, ICollectiveGroup group, int stages, int microBatches, bool syncBatchNorm = true,
        int bucketBytes = 64 << 10) =>
        PipelineParallel.CreateAsync(
            () => Network(name, dtype), CrossEntropy, group,
            new PipelineSetup(stages, microBatches, MicroBatchSamples: 1, syncBatchNorm, new GradientOptions { BucketBytes = bucketBytes }),
            NullLogger.Instance, CancellationToken.None)
            .GetAwaiter().GetResult();

    /// <summary>
    /// This rank's samples of the step's batch: a bright band, at a height that tells the class, in noise; so there is something to learn.
    /// </summary>
    public static TrainingBatch Batch(ITrainingPartition partition, ScalarType dtype, long step, int size = BatchSize)
    {
        var local = partition.LocalSamples(size);
        const int Pixels = InputSize * InputSize;
        var images = new double[local.Count * Pixels];
        var labels = new long[local.Count];
        for (var i = 0; i < local.Count; i++)
        {
            var sample = CounterRandom.Key(Seed, (ulong)step, (ulong)(local.Start + i));
            labels[i] = CounterRandom.Below(sample, 0, Classes);
            for (var pixel = 0; pixel < Pixels; pixel++)
            {
                var inBand = pixel / InputSize / 2 == labels[i] + 2;
                images[(i * Pixels) + pixel] = (inBand ? 2 : 0) + (0.3 * CounterRandom.Normal(sample, (ulong)pixel + 1));
            }
        }

        var tensor = zeros([local.Count, 1, InputSize, InputSize], dtype: ScalarType.Float64);
        images.CopyTo(MemoryMarshal.Cast<byte, double>(tensor.bytes));
        var classes = zeros([local.Count], dtype: ScalarType.Int64);
        labels.CopyTo(MemoryMarshal.Cast<byte, long>(classes.bytes));
        return new TrainingBatch(tensor.to(dtype), classes, size, step);
    }

    /// <summary>
    /// A step's mean loss and correct predictions over the global batch, of all ranks' shares; without a group, of one rank that has all.
    /// </summary>
    public static StepOutcome Outcome(ITrainingPartition partition, TrainingBatch batch, ICollectiveGroup? group = null)
    {
        var share = partition.ForwardBackward(batch);
        Span<double> sums = [share.LossSum, share.Correct];
        if (group is { WorldSize: > 1 })
            group.AllReduce(sums, "outcome");
        return new StepOutcome(sums[0] / batch.GlobalBatchSize, (long)sums[1], share.Times);
    }

    /// <summary>Steps from 0; the mean loss of each over the global batch.</summary>
    /// <param name="partition">Its network is put into training mode.</param>
    /// <param name="dtype">Of the images.</param>
    /// <param name="steps">How many.</param>
    /// <param name="batchSize">Of all ranks.</param>
    /// <param name="change">Of each batch, before it is computed.</param>
    /// <param name="group">All ranks, where the losses matter.</param>
    public static double[] Train(
        ITrainingPartition partition, ScalarType dtype, int steps, int batchSize = BatchSize,
        Func<TrainingBatch, TrainingBatch>? change = null, ICollectiveGroup? group = null)
    {
        partition.Network.train();
        return [.. Enumerable.Range(0, steps).Select(step =>
        {
            using var scope = NewDisposeScope();
            var batch = Batch(partition, dtype, step, batchSize);
            var loss = Outcome(partition, change is null ? batch : change(batch), group).Loss;
            Descend(partition);
            return loss;
        })];
    }

    /// <summary>Every local element with its place: what a rank holds, as values of the undivided tensors.</summary>
    public static List<(string Name, IReadOnlyList<long> Offset, double[] Values)> Gradients(ITrainingPartition partition)
    {
        using var scope = NewDisposeScope();
        return [.. partition.Parameters.Select(p => (p.Name, p.Offset, Values(p.Tensor.grad!)))];
    }

    public static double[] Values(Tensor tensor)
    {
        using var scope = NewDisposeScope(); // a span of a tensor's memory does not keep the tensor
        return MemoryMarshal.Cast<byte, double>(tensor.detach().to(ScalarType.Float64).cpu().contiguous().bytes).ToArray();
    }

    private static Dictionary<string, object> OptionsOf(string name) => name switch
    {
        "lenet5" => LeNet,
        "alexnet" => AlexNet,
        "resnet18" => ResNet,
        "mobilenet_v1" or "mobilenet_v2" => MobileNet,
        "alexnet_owt" or "vgg11" or "vgg11_bn" => Divisible,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no small build of it is set up here"),
    };

    private static void Descend(ITrainingPartition partition)
    {
        using var guard = no_grad();
        using Scalar rate = -LearningRate;
        foreach (var parameter in partition.Parameters)
            parameter.Tensor.add_(parameter.Tensor.grad!, rate);
    }
}
