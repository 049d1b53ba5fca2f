using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Bench.Memory;

/// <summary>A job whose memory is measured.</summary>
/// <param name="Model">Its name.</param>
/// <param name="Options">As in a job file.</param>
/// <param name="Pixels">A side of a picture.</param>
/// <param name="Channels">Of a picture.</param>
/// <param name="Batch">Pictures in a step.</param>
/// <param name="Optimizer">Its name.</param>
/// <param name="Precision">Its name.</param>
/// <param name="Split">Empty for one rank alone; otherwise how two share the work.</param>
internal sealed record MemoryCase(
    string Model, string Options, int Pixels, int Channels, int Batch, string Optimizer, string Precision, string Split = "")
{
    private const string ByData = "data", Sharded = "data, shardOptimizer", Hybrid = "hybrid";

    private static readonly (string Optimizer, string Precision)[] Settings =
        [("sgd", "float32"), ("adam", "float32"), ("sgd", "float64"), ("adam", "bfloat16")];

    /// <summary>Each family, small and published builds, those whose parameters take most and those whose activations do.</summary>
    public static MemoryCase[] All { get; } =
    [
        .. Of("lenet5", "", 28, 1, 250, 1000),
        .. Of("fourlayer_cnn", "", 32, 3, 128, 512),
        .. Of("alexnet", "width: 0.5", 64, 3, 32, 128),
        .. Of("alexnet_owt", "", 224, 3, 8, 32),
        .. Of("vgg11", "width: 0.25", 64, 3, 16, 64),
        .. Of("googlenet", "width: 0.25", 64, 3, 8, 32),
        .. Of("inception_v3", "width: 0.25", 64, 3, 8, 32),
        .. Of("resnet18", "width: 0.5", 32, 3, 32, 128),
        .. Of("resnet50", "", 96, 3, 4, 16),
        .. Of("mobilenet_v1", "widthMultiplier: 0.5", 64, 3, 16, 64),
        .. Of("mobilenet_v2", "", 96, 3, 8, 32),
        .. ByTwo("lenet5", "", 28, 1, 250, ByData),
        .. ByTwo("fourlayer_cnn", "", 32, 3, 128, ByData),
        .. ByTwo("alexnet_owt", "", 224, 3, 8, ByData, Sharded, Hybrid),
        .. ByTwo("resnet18", "", 96, 3, 16, ByData),
        .. ByTwo("resnet50", "", 96, 3, 16, ByData, Sharded),
        .. ByTwo("mobilenet_v2", "", 96, 3, 32, ByData),
    ];

    public int Ranks => Split.Length == 0 ? 1 : 2;

    public bool IsHybrid => Split == Hybrid;

    public string Input => $"{Channels}×{Pixels}×{Pixels}";

    public string Yaml => $$$"""
        name: memory
        model: {name: {{{Model}}}, options: {{{{Options}}}}}
        data:
          name: synthetic
          imageSize: {{{Pixels}}}
          channels: {{{Channels}}}
          trainSamples: {{{MemoryTrainer.Steps * Ranks * Batch}}}
          validationSamples: 0
        resources: {devices: {{{Ranks}}}}
        parallelism: {{{(IsHybrid ? Hybrid : ByData)}}}
        hyperparameters:
          epochs: 1
          globalBatchSize: {{{Ranks * Batch}}}
          precision: {{{Precision}}}
          optimizer: {name: {{{Optimizer}}}, learningRate: 0.00001}{{{(Split == Sharded ? "\n  shardOptimizer: true" : "")}}}
        checkpoints: {everySteps: {{{MemoryTrainer.CheckpointAfterSteps}}}}
        """;

    public JobSpec Spec => JobFile.Parse(Yaml);

    private static IEnumerable<MemoryCase> Of(string model, string options, int pixels, int channels, int batch, int larger) =>
        from size in (int[])[batch, larger]
        from setting in Settings
        select new MemoryCase(model, options, pixels, channels, size, setting.Optimizer, setting.Precision);

    /// <summary>As the job's default optimizer is, and one with more state.</summary>
    private static IEnumerable<MemoryCase> ByTwo(
        string model, string options, int pixels, int channels, int batch, params string[] splits) =>
        from split in splits
        from optimizer in (string[])["sgd", "adam"]
        select new MemoryCase(model, options, pixels, channels, batch, optimizer, "float32", split);
}
