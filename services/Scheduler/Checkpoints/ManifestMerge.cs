using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>Makes one manifest of the parts that the ranks stored.</summary>
internal static class ManifestMerge
{
    /// <param name="parts">In rank order, for the same step.</param>
    /// <exception cref="ManifestConflictException">They name a file twice, or disagree on what they are parts of.</exception>
    public static CheckpointManifest Merge(IReadOnlyList<CheckpointManifest> parts)
    {
        var first = parts[0];
        var whole = new CheckpointManifest
        {
            Step = first.Step,
            Epoch = first.Epoch,
            WorldSize = first.WorldSize,
            Parallelism = first.Parallelism,
            Kind = first.Kind,
        };
        var files = new HashSet<string>();
        foreach (var part in parts)
        {
            if (part.Epoch != first.Epoch || part.WorldSize != first.WorldSize || part.Parallelism != first.Parallelism
                || part.Kind != first.Kind)
            {
                throw new ManifestConflictException(
                    $"the parts of the checkpoint at step {first.Step} disagree: epoch {first.Epoch} and {part.Epoch}, "
                        + $"world size {first.WorldSize} and {part.WorldSize}, {first.Parallelism} and {part.Parallelism}, "
                        + $"{first.Kind} and {part.Kind}");
            }

            foreach (var file in part.Files)
            {
                if (!files.Add(file.Name))
                    throw new ManifestConflictException($"two ranks store file '{file.Name}' of the checkpoint at step {first.Step}");
                whole.Files.Add(file);
            }

            whole.Tensors.AddRange(part.Tensors);
            if (part.HasValidationAccuracy)
                whole.ValidationAccuracy = part.ValidationAccuracy;
        }

        return whole;
    }
}
