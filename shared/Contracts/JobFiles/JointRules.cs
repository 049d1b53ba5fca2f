using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>Rules between fields. Each may take the fields by themselves, the model and the data as right.</summary>
internal static class JointRules
{
    public static IEnumerable<JobFileViolation> Faults(JobSpec spec)
    {
        if (!ModelCatalog.TryGet(spec.Model.Name, out var model) || DataCatalog.Of(spec.Data) is not { } data)
            throw new InvalidOperationException("rules between fields are asked only once each field is right");
        return ModelFitsData(spec, data)
            .Concat(data.IsFolder ? CropsFit(spec, data) : SamplesSuffice(spec, data))
            .Concat(ChannelsFit(spec, data))
            .Concat(DevicesFit(spec, model))
            .Concat(ElasticRules.Faults(spec, model))
            .Concat(TimesFit(spec))
            .Concat(TrainingIsMeant(spec))
            .Concat(WeightsAreGiven(spec));
    }

    private static IEnumerable<JobFileViolation> ModelFitsData(JobSpec spec, DataDefinition data)
    {
        var options = spec.Model.Options;
        if (options[ModelCatalog.Classes].IntValue is var classes && classes < data.Classes)
            yield return new(
                "model.options.classes", $"{classes}", $"{data.Name} has {data.Classes} classes", "leave it out to take it from the data");
        if (options[ModelCatalog.Channels].IntValue is var channels && channels != data.Channels)
            yield return new(
                "model.options.channels", $"{channels}", $"{data.Name} has {data.Channels}", "leave it out to take it from the data");
        if (options[ModelCatalog.InputSize].IntValue is var size && !data.IsFolder && size != data.Height)
        {
            yield return new("model.options.inputSize", $"{size}", $"{data.Name} has pictures of {data.Height}×{data.Width}",
                "leave it out to take it from the data");
        }
    }

    private static bool HasValidation(JobSpec spec) => spec.Data.ValidationSamples > 0 || DataCatalog.Of(spec.Data) is { IsFolder: true };

    /// <summary>How many samples a folder has only its node knows.</summary>
    private static IEnumerable<JobFileViolation> CropsFit(JobSpec spec, DataDefinition data)
    {
        if (spec.Model.Options[ModelCatalog.InputSize].IntValue is var size && size > data.ShorterSide)
            yield return new("data.imageSize", $"{data.ShorterSide}", $"model.options.inputSize is {size}, which is cropped from it",
                $"use {size} or more");
    }

    private static IEnumerable<JobFileViolation> ChannelsFit(JobSpec spec, DataDefinition data)
    {
        foreach (var (key, text) in new[] { ("mean", spec.Data.Normalization.Mean), ("deviation", spec.Data.Normalization.Deviation) })
        {
            if (ChannelValues.TryRead(text, out var values) && values.Length > 0 && values.Length != data.Channels)
            {
                yield return new(
                    $"data.normalization.{key}", text, $"{data.Name} has {data.Channels} channel{(data.Channels == 1 ? "" : "s")} here",
                    $"give {data.Channels} number{(data.Channels == 1 ? "" : "s")}, or {ChannelValues.Own}");
            }
        }

        if (spec.Data.Augmentation.PcaJitter > 0 && data.Channels != 3)
            yield return new("data.augmentation.pcaJitter", $"{spec.Data.Augmentation.PcaJitter}", $"{data.Name} is grey here",
                "use 0, or set data.channels to 3");
        if (spec.Evaluation.Crops == DataCatalog.TenCrops
            && !(data.IsFolder && spec.Model.Options[ModelCatalog.InputSize].IntValue < data.ShorterSide))
        {
            yield return new("evaluation.crops", DataCatalog.TenCrops, $"{data.Name} leaves no room around the network's input",
                "use one, or pictures of a folder with data.imageSize above model.options.inputSize");
        }
    }

    private static IEnumerable<JobFileViolation> SamplesSuffice(JobSpec spec, DataDefinition data)
    {
        var (train, validation) = (spec.Data.TrainSamples, spec.Data.ValidationSamples);
        var left = data.TrainSamples - validation;
        if (left < 1)
        {
            yield return new("data.validationSamples", $"{validation}", $"{data.Name} has {data.TrainSamples} training samples in all",
                $"use less than {data.TrainSamples}");
            yield break;
        }

        if (train > left)
        {
            yield return new("data.trainSamples", $"{train}", $"{left} of {data.TrainSamples} are left beside {validation} for validation",
                $"use {left} or less, or 0 for all that are left");
            yield break;
        }

        var used = train > 0 ? train : left;
        if (spec.IsTraining() && spec.Hyperparameters.GlobalBatchSize is var batch && batch > used)
            yield return new(
                "hyperparameters.globalBatchSize", $"{batch}", $"there are only {used} training samples", $"use {used} or less");
        if (spec.Checkpoints.KeepBest && validation == 0)
        {
            yield return new("checkpoints.keepBest", "true", "the best is chosen on validation and data.validationSamples is 0",
                "set keepBest to false or set validation samples aside");
        }
    }

    private static IEnumerable<JobFileViolation> DevicesFit(JobSpec spec, ModelDefinition model)
    {
        var devices = spec.Resources.Devices;
        var batch = spec.Hyperparameters.GlobalBatchSize;
        if (MeshFault(spec.Mesh, spec.Parallelism, devices) is { } wrongMesh)
        {
            yield return wrongMesh;
            yield break;
        }

        var slices = Slices(spec);
        if (batch < slices)
        {
            var reason = slices == devices
                ? $"resources.devices is {devices} and each device needs a sample"
                : $"the mesh cuts it into {slices} slices and each needs a sample";
            yield return new("hyperparameters.globalBatchSize", $"{batch}", reason, $"use at least {slices} or lower the devices");
        }

        if (spec.Parallelism != Parallelism.Data && !spec.IsTraining())
        {
            yield return new("parallelism", spec.Parallelism.ToString().ToLowerInvariant(),
                $"task {spec.Task.Name} splits its samples over the devices and nothing else", "use data or leave it out");
        }
        else if (spec.Parallelism == Parallelism.Pipeline)
        {
            foreach (var fault in PipelineRules.Faults(spec, model))
                yield return fault;
        }
        else if (spec.Parallelism != Parallelism.Data
            && DivisionFault(spec, model, spec.Parallelism == Parallelism.Hybrid ? devices : spec.Mesh.Model) is { } fault)
        {
            yield return fault;
        }

        if (spec.Parallelism == Parallelism.Hybrid && spec.Hyperparameters.AccumulationSteps > 1)
        {
            yield return new("hyperparameters.accumulationSteps", $"{spec.Hyperparameters.AccumulationSteps}",
                "parallelism is hybrid, whose fully connected layers see the whole batch at once", "leave it out, or use parallelism data");
        }
    }

    /// <summary>How many slices the global batch is cut into.</summary>
    private static int Slices(JobSpec spec) => spec.Parallelism == Parallelism.Hybrid ? spec.Resources.Devices : spec.Mesh.Data;

    private static JobFileViolation? MeshFault(MeshSpec mesh, Parallelism parallelism, int devices)
    {
        if (parallelism == Parallelism.Hybrid)
            return null; // convolutions and fully connected layers lie over the same devices
        if ((long)mesh.Data * mesh.Model * mesh.Pipeline != devices)
        {
            return new("resources.devices", $"{devices}",
                $"the mesh has {mesh.Data} × {mesh.Model} × {mesh.Pipeline} (mesh.data × mesh.model × mesh.pipeline)",
                "make their product the devices, or leave one of the four out");
        }

        return parallelism switch
        {
            Parallelism.Data when mesh.Model > 1 => Unused("model", mesh.Model, "data, which divides no network"),
            Parallelism.Data when mesh.Pipeline > 1 => Unused("pipeline", mesh.Pipeline, "data, which divides no network"),
            Parallelism.Model when mesh.Pipeline > 1 => Unused(
                "pipeline", mesh.Pipeline, "model, whose parts are shares of layers and no stages"),
            Parallelism.Pipeline when mesh.Model > 1 =>
                new("mesh.model", $"{mesh.Model}", "parallelism is pipeline, whose stages are not divided further",
                    "use 1 and more of mesh.data or mesh.pipeline"),
            _ => null,
        };

        static JobFileViolation Unused(string axis, int size, string why) =>
            new($"mesh.{axis}", $"{size}", $"parallelism is {why}", $"use parallelism {axis}, or leave parallelism out");
    }

    /// <summary>What keeps the network from being divided over the devices of a copy.</summary>
    private static JobFileViolation? DivisionFault(JobSpec spec, ModelDefinition model, int devices)
    {
        var hybrid = spec.Parallelism == Parallelism.Hybrid;
        var (word, divided) = hybrid ? ("hybrid", model.DividedUnits) : ("model", model.DividedChannels);
        var groups = hybrid ? 0 : model.ChannelGroups;
        if (divided.IsEmpty && groups == 0)
        {
            var able = string.Join(" or ", ModelCatalog.All.Where(other => hybrid ? !other.DividedUnits.IsEmpty : other.ChannelGroups > 0)
                .Select(other => other.Name));
            return new("parallelism", word,
                $"{model.Name} defines no split into {(hybrid ? "shares of fully connected layers" : "channel groups")}",
                $"use data, or a model such as {able}");
        }

        var field = hybrid || spec.Mesh.Data == 1 ? "resources.devices" : "mesh.model";
        if (groups > 0 && devices != groups)
            return new(field, $"{devices}", $"parallelism is model and {model.Name} splits into {groups} channel groups", $"use {groups}");
        if (devices == 1)
            return new(field, "1", $"parallelism is {word}, which takes several devices", "use 2 or more, or parallelism data");
        var width = model.Option("width") is null ? 1 : spec.Model.Options["width"].DoubleValue;
        var layers = divided.Select(channels => Math.Max(1, (int)Math.Round(channels * width)));
        if (layers.FirstOrDefault(channels => channels % devices != 0) is > 0 and var uneven)
        {
            return new(field, $"{devices}",
                $"parallelism is {word} and a layer of {model.Name} has {uneven} channels or units, which they cannot share evenly",
                "use a number of devices that divides it, or change the width");
        }

        return spec.Model.Options[ModelCatalog.Classes].IntValue is var classes && classes % devices != 0
            ? new(
                "model.options.classes", $"{classes}",
                $"parallelism is {word} and each of {devices} devices computes an equal share of the classes",
                $"use a multiple of {devices}")
            : null;
    }

    private static IEnumerable<JobFileViolation> TrainingIsMeant(JobSpec spec)
    {
        var training = spec.Hyperparameters;
        if (training.Schedule.WarmupEpochs > training.Epochs)
        {
            yield return new("hyperparameters.schedule.warmupEpochs", $"{training.Schedule.WarmupEpochs}",
                $"hyperparameters.epochs is {training.Epochs}", $"use {training.Epochs} or less");
        }

        if (training.Optimizer is { Nesterov: true, Momentum: 0 })
        {
            yield return new("hyperparameters.optimizer.nesterov", "true", "hyperparameters.optimizer.momentum is 0",
                "set a momentum such as 0.9 or leave nesterov out");
        }

        if (training.ShardOptimizer && training.Optimizer is { Name: "sgd", Momentum: 0 })
        {
            yield return new(
                "hyperparameters.shardOptimizer", "true", "optimizer sgd keeps no state while hyperparameters.optimizer.momentum is 0",
                "set a momentum such as 0.9 or leave shardOptimizer out");
        }

        if (training.Optimizer.Name == "lars" && training.ShardOptimizer)
        {
            yield return new(
                "hyperparameters.shardOptimizer", "true", "optimizer lars measures whole tensors, of which each device would update a part",
                "use another optimizer, or leave shardOptimizer out");
        }

        if (training.Optimizer.Name == "lars" && spec.Parallelism is Parallelism.Model or Parallelism.Hybrid)
        {
            yield return new("hyperparameters.optimizer.name", "lars",
                "parallelism splits layers and lars measures whole tensors, of which each device would hold a part",
                "use another optimizer, or parallelism data or pipeline");
        }

        if (training.Schedule.Name == "plateau" && !HasValidation(spec))
        {
            yield return new(
                "hyperparameters.schedule.name", "plateau", "a plateau is one of the validation loss and data.validationSamples is 0",
                "set validation samples aside or use another schedule");
        }

        if (training.Precision == Precision.Bfloat16 && spec.Parallelism != Parallelism.Data)
        {
            yield return new("hyperparameters.precision", "bfloat16",
                $"parallelism is {spec.Parallelism.ToString().ToLowerInvariant()}, which splits the network, "
                    + "and its parts exchange float32 and float64 only",
                "use float32, or parallelism data");
        }

        if (training.Precision == Precision.Tf32 && spec.Resources.DeviceKind == DeviceKind.Cpu)
        {
            yield return new("hyperparameters.precision", "tf32", "resources.deviceKind is cpu, and only GPUs have TF32",
                "use float32, or deviceKind cuda");
        }

        // The smallest share that a device has of a batch.
        var share = training.GlobalBatchSize / Slices(spec);
        if (training.AccumulationSteps > share && share > 0)
        {
            yield return new(
                "hyperparameters.accumulationSteps", $"{training.AccumulationSteps}", $"a device has {share} samples of a global batch",
                $"use {share} or less");
        }

        var (first, longest) = (spec.Restarts.InitialBackoff, spec.Restarts.MaxBackoff);
        if (longest.CompareTo(first) < 0)
        {
            yield return new("restarts.maxBackoff", DurationText.Write(longest), $"restarts.initialBackoff is {DurationText.Write(first)}",
                $"use {DurationText.Write(first)} or more");
        }
    }

    private static IEnumerable<JobFileViolation> TimesFit(JobSpec spec)
    {
        var (least, most) = (spec.MinRuntime, spec.MaxRuntime);
        if (most.CompareTo(new Duration()) > 0 && least.CompareTo(most) > 0)
        {
            yield return new("minRuntime", DurationText.Write(least), $"maxRuntime is {DurationText.Write(most)}",
                $"use {DurationText.Write(most)} or less");
        }
    }

    private static IEnumerable<JobFileViolation> WeightsAreGiven(JobSpec spec)
    {
        var from = spec.InitFrom;
        var given = new[] { from.Checkpoint, from.Job, from.File }.Count(source => source.Length > 0);
        if (given > 1)
            yield return new("initFrom", null, "names more than one of checkpoint, job and file", "keep one of them");
        if (given == 0 && !spec.IsTraining())
            yield return new(
                "initFrom", null, $"is missing and task {spec.Task.Name} needs weights", "add initFrom with a checkpoint, job or file");
        if (spec.IsPrediction() && spec.Task.Part == DataPart.Validation && !HasValidation(spec))
            yield return new(
                "task.part", "validation", "data.validationSamples is 0", "set validation samples aside or predict another part");
    }
}
