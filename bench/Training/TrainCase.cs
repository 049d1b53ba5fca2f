using Cluster.Contracts;

namespace Cluster.Bench.Training;

/// <summary>A network to train, the same on both sides.</summary>
/// <param name="Model">Ours by the registry's name; the peer's script knows the same names.</param>
/// <param name="Batch">Samples of a rank in one step.</param>
/// <param name="Channels">Of the images.</param>
/// <param name="InputSize">Pixels a side.</param>
/// <param name="Classes">That the head tells apart.</param>
internal sealed record TrainCase(string Model, int Batch, int Channels, int InputSize, int Classes)
{
    /// <summary>Of stochastic gradient descent, on both sides; small, since the one batch is met again and again.</summary>
    public const double LearningRate = 1e-5;

    public const double Momentum = 0.9;

    public const double WeightDecay = 5e-4;

    /// <summary>As the peer splits it.</summary>
    public const string ByData = "data";

    /// <summary>As AlexNet was in 2012.</summary>
    public const string ByModel = "model";

    public const string Float32 = "float32";
    public const string Tf32 = "tf32";
    public const string BFloat16 = "bfloat16";

    public const string Gpu = "cuda";

    /// <summary>
    /// Batches that a CPU's memory holds three times over, and whose steps take from milliseconds to a few seconds on a core.
    /// </summary>
    public static IReadOnlyList<TrainCase> All { get; } =
    [
        new("lenet5", 128, 1, 28, 10),
        ImageNet("alexnet_owt", 32) with { Kinks = 10 },
        ImageNet("vgg11", 8) with { Kinks = 15 },
        ImageNet("resnet18", 16) with { Kinks = 18 },
        ImageNet("googlenet_tv", 16) with { Kinks = 25 },
        ImageNet("mobilenet_v2", 16) with { Kinks = 70 }, // 35 ReLU6, which have two each
        ImageNet("alexnet", 32) with { Kinks = 10 },
        ImageNet("googlenet", 16) with { Kinks = 25 },
    ];

    /// <summary>Batches that keep a data centre's GPU busy for some tens of milliseconds a step.</summary>
    public static IReadOnlyList<TrainCase> OnGpu { get; } =
    [
        .. from network in (TrainCase[])[ImageNet("alexnet_owt", 512), ImageNet("resnet50", 256), ImageNet("vgg16", 128)]
           from precision in (string[])[Tf32, BFloat16]
           select network with { Device = Gpu, Precision = precision },
        ImageNet("alexnet", 256) with { Device = Gpu, Precision = Tf32, Split = ByModel },
    ];

    /// <summary>How our images lie in memory; the peer's are as PyTorch makes them.</summary>
    public string MemoryFormat { get; init; } = MemoryFormats.Auto;

    /// <summary>Kinks that a sample's value passes one behind the other: of ReLUs, and of poolings by the largest.</summary>
    public int Kinks { get; init; }

    /// <summary>
    /// Whether several ranks normalise by the whole batch's statistics. The default of jobs, and of DistributedDataParallel, is that
    /// they do not.
    /// </summary>
    public bool SyncBatchNorm { get; init; }

    /// <summary>How several ranks share the work, in a job file's word.</summary>
    public string Split { get; init; } = ByData;

    /// <summary>"cpu" or <see cref="Gpu"/>, the process's first.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>A job file's word.</summary>
    public string Precision { get; init; } = Float32;

    public bool IsOnGpu => Device == Gpu;

    private static TrainCase ImageNet(string model, int batch) => new(model, batch, 3, 224, 1000);
}
