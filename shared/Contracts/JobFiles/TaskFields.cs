using System.Collections.Immutable;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>Which fields mean something to a job that does not train.</summary>
internal static class TaskFields
{
    private static readonly string[] OnlyTraining =
        ["hyperparameters.", "data.augmentation.", "checkpoints.", "seed", "initFrom.newHead", "resources.minDevices"];

    /// <summary>A batch is a batch, and its type and layout what they are, without gradients too.</summary>
    private static readonly string[] AnyTask = ["hyperparameters.globalBatchSize", "hyperparameters.precision",
        "hyperparameters.memoryFormat"];

    /// <summary>The fields, each applying only to the tasks that read it.</summary>
    public static ImmutableArray<JobField> Restrict(IEnumerable<JobField> fields) =>
        [.. fields.Select(field => field with { AppliesTo = spec => IsReadBy(spec, field.Path) && field.AppliesTo(spec) })];

    /// <summary>Whether the job's task looks at the field at all, whatever its other choices.</summary>
    public static bool IsReadBy(JobSpec spec, string path) => path switch
    {
        _ when spec.IsTraining() => true,
        "data.trainSamples" => PredictsFrom(spec, DataPart.Train),
        // A prediction for another picture than its row's would be worse than none.
        "data.maxBrokenImages" => !spec.IsPrediction(),
        "data.validationSamples" => !PredictsFrom(spec, DataPart.Test),
        _ => AnyTask.Contains(path) || !Array.Exists(OnlyTraining, beginning => path.StartsWith(beginning, StringComparison.Ordinal)),
    };

    /// <summary>"task evaluate": why a field that <see cref="IsReadBy"/> denies has no effect.</summary>
    public static string Describe(JobSpec spec) =>
        spec.IsPrediction() ? $"task predict of the {spec.Task.Part.ToString().ToLowerInvariant()} part" : $"task {spec.Task.Name}";

    private static bool PredictsFrom(JobSpec spec, DataPart part) => spec.IsPrediction() && spec.Task.Part == part;
}
