using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>Every field of a job file with its default and range: the one list that reading, checking, writing and help go by.</summary>
internal static partial class JobFields
{
    private const long MaxWhole = 1_000_000_000;

    /// <summary>Hours of a year.</summary>
    private const int LongestRun = 8760;

    /// <summary>
    /// Micro-batches for each stage of a pipeline, by default: of S stages' time a share of (S − 1)/(4S + S − 1), at most a fifth, is then
    /// idle.
    /// </summary>
    private const int MicroBatchesAStage = 4;

    private const string Folders = $"{DataCatalog.ImageFolder}, {DataCatalog.TarShards} or {DataCatalog.RawShards}";

    /// <summary>In the order of filling: a default that follows from another field stands behind it.</summary>
    public static ImmutableArray<JobField> All { get; } = TaskFields.Restrict(
    [
        Word("task.name", JobTasks.Train, JobTasks.All, "train a network, or evaluate or predict with given weights"),
        OfPredict(Choice("task.part", DataPart.Test, "train, validation or test", "the samples to predict")),
        Word("model.name", null, ModelCatalog.All.Select(model => model.Name), "the network to train"),
        Word("data.name", null, DataCatalog.All.Select(data => data.Name), "what to train it on"),
        OfFolder(FolderName("data.folder", "a folder in the nodes' data root")),
        OfOpenSizes(Whole("data.classes", 10, 2, 100_000, "classes of the pictures")) with
        {
            Default = spec => IsFolder(spec) ? null : 10L,
            DefaultText = $"10 ({DataCatalog.Synthetic}), else required",
        },
        OfOpenSizes(Whole(
            "data.imageSize", 28, 8, 4096, $"pixels a side; of {Folders} the shorter side's before a crop to the network's input")) with
        {
            Default = spec => IsFolder(spec) ? 256L : 28L,
            DefaultText = $"28 ({DataCatalog.Synthetic}), 256 ({Folders})",
        },
        OfOpenSizes(Whole("data.channels", 1, 1, 3, "1 for grey, 3 for colour")) with
        {
            Default = spec => IsFolder(spec) ? 3L : 1L,
            DefaultText = $"1 ({DataCatalog.Synthetic}), 3 ({Folders})",
            Range = "1 or 3",
            Accepts = channels => channels is 1 or 3,
        },
        OfData(Word("data.labels", "fine", ["fine", DataCatalog.CoarseLabels], "the 100 classes or the 20 superclasses"),
            DataCatalog.Cifar100),
        Name("name", spec => ModelCatalog.TryGet(spec.Model.Name, out var model) ? model.Name : "job", "the model's name",
            "what lists and plots call the job"),
        Name("workspace", _ => "default", "default", "groups jobs of one team or project"),
        Name("queue", _ => QueueNames.Default, QueueNames.Default, "where it waits for devices"),
        Whole("priority", 0, JobPriority.Lowest, JobPriority.Highest, "a larger number wins"),
        OfStored(Whole("data.validationSamples", 0, 0, MaxWhole,
            "samples set aside from the end of the training part to choose the best checkpoint by")) with
        {
            Default = spec => DataCatalog.TryGet(spec.Data.Name, out var data) ? data.DefaultValidationSamples : 0,
            DefaultText = string.Join(
                ", ", DataCatalog.All.Where(data => !data.IsFolder).Select(data => $"{data.DefaultValidationSamples} ({data.Name})")),
        },
        Whole("data.trainSamples", 0, 0, MaxWhole, "train on the first so many samples of the training part only; 0 means all"),
        Whole("data.loaderThreads", 0, 0, 256,
            "threads of a rank that make batches ready; 0 means as many as suit the data and the rank's cores"),
        OfFolder(Whole("data.maxBrokenImages", 0, 0, MaxWhole,
            "pictures that may turn out unreadable in one pass over the data, each replaced by the next; "
                + "0 means that the first one ends the job")),
        OfFolder(Whole("data.maxImagePixels", DataCatalog.DefaultMaxImagePixels, 1, int.MaxValue,
            "pixels that a decoder may hold of one picture, once it is shrunk as it is decoded; a larger one counts as unreadable")) with
        { ZeroIsAbsent = true },
        OfFolder(Whole("data.decodingMemoryMib", DataCatalog.DefaultDecodingMemoryMib, 1, 1 << 20,
            "MiB that pictures being decoded at once may take in a rank, counted by its memory estimate; "
                + "a picture that takes more is decoded alone")) with
        { ZeroIsAbsent = true },
        Channelwise("data.normalization.mean", -10, "subtracted from pixels in 0 to 1"),
        Channelwise("data.normalization.deviation", 0.001, "that they are then divided by"),
        OfStored(Whole("data.augmentation.cropPadding", 0, 0, 16,
            "pixels of zero padding on each side before a random crop back to size; 0 means no crop")),
        OfFolder(Word("data.augmentation.crop", "random", ["random", DataCatalog.RandomResizedCrop, DataCatalog.CenterCrop],
            "what training sees of a picture: a place of the resized one, a box of the stored one resized, or the middle")),
        OfResizedCrop(Number("data.augmentation.minScale", 0.08, "more than 0 and at most 1", share => share is > 0 and <= 1,
            "use a share such as 0.08", "smallest share of a picture's area")),
        OfResizedCrop(
            Number("data.augmentation.maxRatio", 1.3333333333333333, "at least 1 and at most 10", ratio => ratio is >= 1 and <= 10,
                "use a ratio such as 1.3333333333333333", "largest ratio of width to height, and of height to width")),
        Flag("data.augmentation.flip", _ => false, "false", "mirror left-right with probability one half"),
        OfFolder(Number("data.augmentation.pcaJitter", 0, "at least 0 and at most 1", deviation => deviation is >= 0 and <= 1,
            "use a number such as 0.1, or 0 for none", "deviation of the multiples of the colours' principal components that are added")),
        Whole("hyperparameters.epochs", 10, 1, 100_000, "passes over the training samples"),
        Whole("hyperparameters.maxSteps", 0, 0, MaxWhole, "stop after so many optimizer steps even if epochs remain; 0 means no limit"),
        Whole("hyperparameters.globalBatchSize", 128, 1, 1_048_576, "samples in one optimizer step over all devices together"),
        Word("hyperparameters.optimizer.name", "sgd", ["sgd", "adam", "adamw", "rmsprop", "lars"], "how gradients become steps"),
        Number("hyperparameters.optimizer.learningRate", 0, "more than 0 and at most 100", rate => rate is > 0 and <= 100,
            "use a positive number such as 0.01", "size of a step") with
        {
            Default = spec => spec.Hyperparameters?.Optimizer?.Name switch { "adam" or "adamw" => 0.001, "lars" => 1.0, _ => 0.01 },
            DefaultText = "0.01 (sgd, rmsprop), 0.001 (adam, adamw), 1 (lars)",
        },
        OfOptimizers(
            ["sgd", "rmsprop", "lars"], Number("hyperparameters.optimizer.momentum", 0.9, "at least 0 and less than 1", AtLeast0LessThan1,
                "use a number such as 0.9", "share of the last step that the next one keeps")),
        Number("hyperparameters.optimizer.weightDecay", 0, "at least 0 and at most 1", decay => decay is >= 0 and <= 1,
            "use a small number such as 0.0005, or 0 for none",
            "pulls every weight towards zero (added to the gradient; with adamw taken off the weight; "
                + "with lars not of biases and normalisation)"),
        OfOptimizers(["sgd"], Flag("hyperparameters.optimizer.nesterov", _ => false, "false", "look ahead along the momentum")),
        OfOptimizers(["adam", "adamw"], Number("hyperparameters.optimizer.beta1", 0.9, "at least 0 and less than 1", AtLeast0LessThan1,
            "use a number such as 0.9", "decay of the mean of gradients")),
        OfOptimizers(["adam", "adamw"], Number("hyperparameters.optimizer.beta2", 0.999, "at least 0 and less than 1", AtLeast0LessThan1,
            "use a number such as 0.999", "decay of the mean of squared gradients")),
        OfOptimizers(["rmsprop"], Number("hyperparameters.optimizer.decay", 0.9, "at least 0 and less than 1", AtLeast0LessThan1,
            "use a number such as 0.9", "decay of the mean of squared gradients")),
        OfOptimizers(["adam", "adamw", "rmsprop"],
            Number("hyperparameters.optimizer.epsilon", 1e-8, "more than 0 and at most 1", epsilon => epsilon is > 0 and <= 1,
                "use a small number such as 1e-8", "keeps the division by the root of the mean of squares finite; added to the root")),
        OfOptimizers(["lars"],
            Number("hyperparameters.optimizer.trustCoefficient", 0.001, "more than 0 and at most 1", trust => trust is > 0 and <= 1,
                "use a small number such as 0.001", "a layer's step is this share of its weights' norm at learning rate 1")),
        Word("hyperparameters.schedule.name", "constant", ["constant", "step", "cosine", "plateau"], "how the learning rate changes"),
        OfSchedules(["step"],
            Whole("hyperparameters.schedule.stepEpochs", 10, 1, 100_000, "multiply the learning rate by gamma every so many epochs")),
        OfSchedules(
            ["step", "plateau"], Number("hyperparameters.schedule.gamma", 0.1, "more than 0 and at most 1", gamma => gamma is > 0 and <= 1,
                "use a factor such as 0.1", "factor on the learning rate")),
        Whole("hyperparameters.schedule.warmupEpochs", 0, 0, 100_000, "rise linearly from zero over so many epochs first"),
        OfSchedules(["plateau"], Whole("hyperparameters.schedule.patienceEpochs", 10, 0, 100_000,
            "multiply the learning rate by gamma after more than so many epochs in a row without a better validation loss")),
        OfSchedules(["plateau"], Number("hyperparameters.schedule.threshold", 0.0001, "at least 0 and less than 1", AtLeast0LessThan1,
            "use a small number such as 0.0001", "a better loss is lower than the best by more than this share of it")),
        Number(
            "hyperparameters.labelSmoothing", 0, "at least 0 and less than 1", AtLeast0LessThan1, "use a number such as 0.1, or 0 for none",
            "share of the target spread evenly over all classes"),
        Number("hyperparameters.clipNorm", 0, "at least 0 and at most 1000000", norm => norm is >= 0 and <= 1e6,
            "use a norm such as 1, or 0 for no limit",
            "gradients whose norm over the whole network is larger are scaled down to it; 0 means never"),
        Whole("hyperparameters.accumulationSteps", 0, 0, 65_536,
            "passes in which each device works through its share of a global batch before the one optimizer step, "
                + "for batches that do not fit in memory; 0 means one pass"),
        Number("hyperparameters.averageDecay", 0, "at least 0 and less than 1", AtLeast0LessThan1,
            "use a number such as 0.9999, or 0 for none",
            "decay of a running average of the weights, which evaluation and checkpoints then use; 0 means none"),
        Flag("hyperparameters.syncBatchNorm", _ => false, "false",
            "normalise by the statistics of the whole batch, as one device does; false: each device by its own slice's") with
        {
            AppliesTo = spec => ModelCatalog.TryGet(spec.Model?.Name ?? "", out var model) && model.BatchNorm,
            BelongsTo = "models with batch normalisation",
        },
        Flag("hyperparameters.shardOptimizer", _ => false, "false",
            "each device keeps the optimizer's state of its share of the parameters only") with
        {
            AppliesTo = spec => spec.Parallelism is Parallelism.Data or Parallelism.Unspecified,
            BelongsTo = "parallelism data",
        },
        Choice("hyperparameters.precision", Precision.Float32, "float32, tf32, float64 or bfloat16",
            "type of weights and computation; tf32 is float32 with products on a GPU's tensor cores; "
                + "bfloat16 computes in it and keeps float32 weights, which parallelism data alone can"),
        Word("hyperparameters.memoryFormat", MemoryFormats.Auto, MemoryFormats.All,
            "how images lie in memory: a plane a channel, or a pixel's channels together; "
            + "auto measures both before the first step and keeps the faster"),
        Flag("hyperparameters.deterministic", _ => false, "false",
            "on GPUs too a resumed run has the bits of one that was not interrupted, at some cost in speed; on CPUs it has anyway"),
        Whole("resources.devices", 1, 1, 65_536, "all of them at once or none; each trains as one rank") with
        {
            Default = spec => Product(spec.Mesh.Data, spec.Mesh.Model, spec.Mesh.Pipeline),
            DefaultText = "1, or those of the mesh",
        },
        IfGiven(Whole("resources.minDevices", 0, 1, 65_536,
            "any number of devices from this to resources.devices will do, also while it runs; devices: {min: 1, max: 4} says both") with
        { DefaultText = "none: all of them at once" }),
        Choice("resources.deviceKind", DeviceKind.Any, "cpu, cuda or any", "any means one kind, whichever the cluster can give first"),
        Whole("resources.maxDevicesPerNode", 0, 0, 65_536, "at most so many of the devices on one node; 0 means no limit"),
        Choice("parallelism", Parallelism.Data, "data, model, hybrid or pipeline",
            "data: each device takes a slice of the batch; model: a share of every layer's channels; hybrid: "
                + "a slice of the batch in convolutions and a share of the fully connected layers; "
            + "pipeline: some consecutive layers") with
        {
            Default = spec => spec.Mesh.Pipeline > 1 ? Parallelism.Pipeline : spec.Mesh.Model > 1 ? Parallelism.Model : Parallelism.Data,
            DefaultText = "data, or model or pipeline where the mesh has such an axis",
        },
        OfMesh(Whole("mesh.data", 1, 1, 65_536, "slices of the batch: replicas, or copies of a divided network") with
        {
            Default = spec => (Parts(spec.Mesh), spec.Parallelism) switch
            {
                (> 0 and var parts, _) => Math.Max(1, spec.Resources.Devices / parts),
                (_, Parallelism.Data) => Math.Max(1, spec.Resources.Devices),
                _ => 1L,
            },
            DefaultText = "devices over mesh.model × mesh.pipeline; without either all (data) or 1 (model, pipeline)",
        }),
        OfMesh(Whole("mesh.model", 1, 1, 65_536, "parts of the network, each a share of every layer's channels") with
        {
            Default = spec => spec.Parallelism == Parallelism.Pipeline
                ? 1L
                : Math.Max(1, spec.Resources.Devices / Product(spec.Mesh.Data, spec.Mesh.Pipeline)),
            DefaultText = "devices over mesh.data; 1 (pipeline)",
        }),
        OfMesh(Whole("mesh.pipeline", 1, 1, 65_536, "stages of the network, each some of its consecutive layers") with
        {
            Default = spec => spec.Parallelism != Parallelism.Pipeline
                ? 1L
                : Math.Max(1, spec.Resources.Devices / Product(spec.Mesh.Data, spec.Mesh.Model)),
            DefaultText = "1; devices over mesh.data (pipeline)",
            ZeroIsAbsent = true,
        }),
        Whole("hyperparameters.microBatches", 1, 1, 65_536,
            "parts of a slice of the global batch that follow one another through the stages; more of them leave the stages less idle, "
                + "and larger ones compute faster") with
        {
            Default = spec => Math.Clamp(MicroBatchesAStage * (long)Math.Max(1, spec.Mesh.Pipeline), 1,
                Math.Max(1, spec.Hyperparameters.GlobalBatchSize / Math.Max(1, spec.Mesh.Data))),
            DefaultText = $"{MicroBatchesAStage} × mesh.pipeline, or as many as a slice has samples",
            AppliesTo = spec => spec.Parallelism == Parallelism.Pipeline,
            BelongsTo = "parallelism pipeline",
            ZeroIsAbsent = true,
        },
        Whole("checkpoints.everyEpochs", 1, 0, 100_000, "write one after every so many epochs; the last epoch always does"),
        Whole("checkpoints.everySteps", 0, 0, MaxWhole, "also after every so many optimizer steps; 0 means never"),
        Whole("checkpoints.keepLatest", 2, 1, 1000, "the newest so many are kept"),
        Flag("checkpoints.keepBest", spec => spec.Data.ValidationSamples > 0 || IsFolder(spec), "true with validation samples",
            "also keep the one with the best validation accuracy"),
        Word("evaluation.crops", "one", ["one", DataCatalog.TenCrops],
            "one: the middle; ten: the four corners and the middle, also mirrored, their probabilities averaged"),
        Whole("restarts.maxRestarts", 3, 0, 1000, "restarts after failures; 0 fails at the first"),
        Time("restarts.initialBackoff", TimeSpan.FromSeconds(1), "wait before the first restart; doubles with each"),
        Time("restarts.maxBackoff", TimeSpan.FromMinutes(1), "longest wait before a restart"),
        IfGiven(Flag("restarts.moveStragglers", _ => false, "false",
            "go on elsewhere, from a checkpoint, when a rank is slow for long, and keep from its node for good; costs no restart")),
        Time("maxRuntime", TimeSpan.Zero,
            "trains so long at most, all attempts together, then writes a checkpoint and ends as timed out; 0s means no limit", LongestRun),
        Time("minRuntime", TimeSpan.Zero, "is not preempted before it has run so long; 0s means at any time", LongestRun),
        Whole("seed", 1, 0, 0, "all randomness of the run follows from it") with
        {
            Range = "a whole number of at most 64 bits and not negative",
            Accepts = _ => true,
            Default = _ => 1UL,
        },
        IfGiven(Text(
            "initFrom.checkpoint", "a checkpoint's id or its first 4 or more hexadecimal digits", text => IdPrefix.TryParse(text, out _),
            "copy it from ./cluster checkpoint list", "begin with this checkpoint's weights")),
        IfGiven(Text("initFrom.job", "a job's id or its first 4 or more hexadecimal digits", text => IdPrefix.TryParse(text, out _),
            "copy it from ./cluster job list", "begin with weights of this job")),
        OfInitialJob(Choice("initFrom.which", CheckpointChoice.Latest, "best or latest",
            "which of the job's checkpoints; the best is chosen on validation")),
        IfGiven(Text("initFrom.file", "the name of a .safetensors file, without folders", FileNamePattern().IsMatch,
            "put the file into the folder weights of the nodes' data folder and give its name",
            "begin with the weights in this file on the nodes")),
        OfInitialWeights(
            Flag("initFrom.newHead", _ => false, "false", "draw the parameters anew whose shape follows from the number of classes")),
    ]);

    /// <summary>
    /// The fields of what lists hold, list by list: a job file gives them for each entry, or the first of them alone in the entry's place.
    /// </summary>
    public static ImmutableArray<JobField> OfEntries { get; } =
    [
        Text("after.job", "a job's id or its first 4 or more hexadecimal digits", text => IdPrefix.TryParse(text, out _),
            "copy it from ./cluster job list", "in a list: wait for this job") with { DefaultText = "required" },
        Choice("after.state", DependencyState.Succeeded, "succeeded or ended", "in a list: until it has succeeded, or ended in any way"),
        Text("failurePolicies.pattern", "a regular expression of at most 200 characters without back references and looking around",
            text => LogPattern.TryRead(text, out _), "write it as CUDA error|ECC",
            "in a list: what to look for in each line that a rank writes which then fails") with { DefaultText = "required" },
        Word("failurePolicies.action", null, [FailureActions.ExcludeNode, FailureActions.StopRetrying],
            "in a list: start on the rank's node no more, or start no more at all"),
    ];

    private static readonly ImmutableHashSet<string> HoldingValues =
        [.. All.Select(field => field.Path), .. OfEntries.Select(field => field.List)];

    private static readonly string[] Maps = ["model.options.", "labels.", "resources.nodeLabels."];

    /// <summary>The fields of a message that are keys of a job file.</summary>
    internal static IEnumerable<FieldDescriptor> KeysOf(MessageDescriptor message) =>
        message.Fields.InDeclarationOrder().Where(field => field.ContainingType != JobSpec.Descriptor
            || field.FieldNumber != JobSpec.GivenFieldNumber);

    /// <summary>Whether a path of a job file is that of a value or of a list, and not of a mapping that only holds others.</summary>
    internal static bool HoldsValues(string path) =>
        HoldingValues.Contains(path) || Maps.Any(map => path.StartsWith(map, StringComparison.Ordinal));

    /// <summary>Devices of one copy of the network as far as the mesh says so; 0 where it does not.</summary>
    private static long Parts(MeshSpec mesh) => mesh is { Model: 0, Pipeline: 0 } ? 0 : Product(mesh.Model, mesh.Pipeline);

    // Of sizes that nobody has looked at yet: as large as a field holds at most, which is refused then.
    private static long Product(params ReadOnlySpan<int> sizes)
    {
        var product = 1L;
        foreach (var size in sizes)
            product = Math.Min(int.MaxValue, product * Math.Max(1, size));
        return product;
    }

    internal static bool IsFolder(JobSpec spec) => DataCatalog.TryGet(spec.Data?.Name ?? "", out var data) && data.IsFolder;

    private static JobField OfFolder(JobField field) => field with { AppliesTo = IsFolder, BelongsTo = $"data {Folders}" };

    private static JobField OfStored(JobField field) => field with
    {
        AppliesTo = spec => !IsFolder(spec),
        BelongsTo = "data whose pictures have one size",
    };

    private static JobField OfResizedCrop(JobField field) => field with
    {
        AppliesTo = spec => IsFolder(spec) && spec.Data.Augmentation?.Crop == DataCatalog.RandomResizedCrop,
        BelongsTo = $"crop {DataCatalog.RandomResizedCrop}",
        ZeroIsAbsent = true,
    };

    private static JobField OfOpenSizes(JobField field) => field with
    {
        AppliesTo = spec => DataCatalog.TryGet(spec.Data?.Name ?? "", out var data) && data.HasOpenSizes,
        BelongsTo = $"data {DataCatalog.Synthetic}, {Folders}",
        ZeroIsAbsent = true,
    };

    private static JobField OfData(JobField field, string name) =>
        field with { AppliesTo = spec => spec.Data?.Name == name, BelongsTo = $"data {name}" };

    private static bool AtLeast0LessThan1(double value) => value is >= 0 and < 1;

    private static JobField OfOptimizers(string[] names, JobField field) => field with
    {
        AppliesTo = spec => names.Contains(spec.Hyperparameters?.Optimizer?.Name),
        BelongsTo = "optimizer " + string.Join(" or ", names),
    };

    private static JobField OfSchedules(string[] names, JobField field) => field with
    {
        AppliesTo = spec => names.Contains(spec.Hyperparameters?.Schedule?.Name),
        BelongsTo = "schedule " + string.Join(" or ", names),
    };

    private static JobField OfPredict(JobField field) => field with { AppliesTo = JobTasks.IsPrediction, BelongsTo = "task predict" };

    private static JobField OfInitialJob(JobField field) =>
        field with { AppliesTo = spec => spec.InitFrom?.Job is { Length: > 0 }, BelongsTo = "initFrom.job" };

    private static JobField OfInitialWeights(JobField field) =>
        field with { AppliesTo = JobTasks.HasInitialWeights, BelongsTo = "weights to begin with" };

    /// <summary>A value that may be absent and then has no default either.</summary>
    private static JobField IfGiven(JobField field) => field with { AppliesTo = spec => !JobField.IsUnset(field.Get(spec)) };

    private static JobField OfMesh(JobField field) =>
        field with { AppliesTo = spec => spec.Parallelism != Parallelism.Hybrid, BelongsTo = "parallelism data, model or pipeline" };

    private static JobField Word(string path, string? byDefault, IEnumerable<string> words, string meaning)
    {
        var known = words.ToArray();
        return new()
        {
            Path = path,
            Meaning = meaning,
            Default = _ => byDefault,
            DefaultText = byDefault ?? "required",
            Range = string.Join(" or ", known),
            Accepts = value => known.Contains((string)value),
            Remedy = _ => $"use {string.Join(" or ", known)}",
        };
    }

    private static JobField Name(string path, Func<JobSpec, string?> byDefault, string defaultText, string meaning) => new()
    {
        Path = path,
        Meaning = meaning,
        Default = byDefault,
        DefaultText = defaultText,
        Range = Names.Range,
        Accepts = value => Names.IsValid((string)value),
        Remedy = _ => "use a name such as lenet5-baseline",
    };

    private static JobField Text(string path, string range, Func<string, bool> accepts, string remedy, string meaning) => new()
    {
        Path = path,
        Meaning = meaning,
        Default = _ => null,
        DefaultText = "none",
        Range = range,
        Accepts = value => accepts((string)value),
        Remedy = _ => remedy,
    };

    private static JobField FolderName(string path, string meaning) => Name(path, _ => null, "required", meaning) with
    {
        Remedy = _ => "name a folder in the nodes' data root, such as my-photos, without a path",
    };

    private static JobField Channelwise(string path, double min, string meaning) => new()
    {
        Path = path,
        Meaning = meaning,
        Default = _ => ChannelValues.Own,
        DefaultText = ChannelValues.Own,
        Range =
            $"{ChannelValues.Own} or 1 to 3 numbers from {min.ToString("R", CultureInfo.InvariantCulture)} to 10 with spaces between them",
        Accepts = value => ChannelValues.TryRead((string)value, out var numbers) && numbers.All(number => number >= min && number <= 10),
        Remedy = _ => $"use {ChannelValues.Own}, or a number for each channel such as 0.485 0.456 0.406",
    };

    private static JobField Whole(string path, long byDefault, long min, long max, string meaning) => new()
    {
        Path = path,
        Meaning = meaning,
        Default = _ => byDefault,
        DefaultText = byDefault.ToString(CultureInfo.InvariantCulture),
        Range = $"a whole number from {min} to {max}",
        Accepts = value => Convert.ToDecimal(value, CultureInfo.InvariantCulture) is var whole && whole >= min && whole <= max,
        Remedy = value => value switch
        {
            null => $"write a number such as {Math.Max(byDefault, min)}",
            _ when Convert.ToDecimal(value, CultureInfo.InvariantCulture) < min => $"use {min} or more",
            _ => $"use {max} or less",
        },
    };

    private static JobField Number(
        string path, double byDefault, string range, Func<double, bool> accepts, string remedy, string meaning) => new()
        {
            Path = path,
            Meaning = meaning,
            Default = _ => byDefault,
            DefaultText = byDefault.ToString("R", CultureInfo.InvariantCulture),
            Range = range,
            Accepts = value => accepts((double)value),
            Remedy = _ => remedy,
        };

    private static JobField Flag(string path, Func<JobSpec, bool> byDefault, string defaultText, string meaning) => new()
    {
        Path = path,
        Meaning = meaning,
        Default = spec => byDefault(spec),
        DefaultText = defaultText,
        Range = "true or false",
        Accepts = _ => true,
        Remedy = _ => "use true or false",
    };

    private static JobField Choice<TEnum>(string path, TEnum byDefault, string words, string meaning)
        where TEnum : struct, System.Enum => new()
        {
            Path = path,
            Meaning = meaning,
            Default = _ => byDefault,
            DefaultText = byDefault.ToString().ToLowerInvariant(),
            Range = words,
            Accepts = value => System.Enum.IsDefined((TEnum)value) && !JobField.IsUnset(value),
            Remedy = _ => $"use {words}",
        };

    private static JobField Time(string path, TimeSpan byDefault, string meaning, int hours = 24) => new()
    {
        Path = path,
        Meaning = meaning,
        Default = _ => Duration.FromTimeSpan(byDefault),
        DefaultText = DurationText.Write(Duration.FromTimeSpan(byDefault)),
        Range = $"a duration from 0s to {hours}h",
        // Whole milliseconds, since that is what a job file can say.
        Accepts = value =>
            (Duration)value is var time && time.Nanos % 1_000_000 == 0 && time.Nanos >= 0 && time.Seconds >= 0
            && time.Seconds <= hours * 3600L,
        Remedy = _ => "write it as 2s, 500ms or 1m30s",
    };

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}\\.safetensors\\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex FileNamePattern();
}
