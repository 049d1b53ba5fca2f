using Cluster.Contracts;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Parallel;

namespace Cluster.Worker.Training;

/// <summary>Compares names and shapes of weights with those of the network that is to begin with them.</summary>
internal static class WeightsFit
{
    // A file of another network differs in everything, and a few lines of it say so.
    private const int ShownDifferences = 6;

    /// <param name="spec">The job.</param>
    /// <param name="source">"initFrom.file is a.safetensors": begins the message.</param>
    /// <param name="wanted">The network's tensors.</param>
    /// <param name="weights">The stored ones.</param>
    /// <param name="fresh">Names that need not be stored.</param>
    /// <param name="elsewhere">Names that other ranks look at.</param>
    /// <exception cref="JobMisconfiguredException">They differ in more than <paramref name="fresh"/>; the message lists names and
    /// shapes.</exception>
    public static void Require(JobSpec spec, string source, IReadOnlyList<LocalParameter> wanted, IWeights weights,
        IReadOnlySet<string> fresh, IReadOnlySet<string> elsewhere)
    {
        // PyTorch's count of batches is read by nothing here.
        var stored = weights.WeightNames.Where(name => !name.EndsWith("num_batches_tracked", StringComparison.Ordinal))
            .ToHashSet(StringComparer.Ordinal);
        var differing = wanted.Where(place => !fresh.Contains(place.Name) && !(stored.Contains(place.Name) && Same(place, weights)))
            .ToList();
        var unknown = stored.Except(wanted.Select(place => place.Name)).Except(elsewhere).Order(StringComparer.Ordinal).ToList();
        if (differing.Count == 0 && unknown.Count == 0)
            return;

        var differences = differing.Select(place => stored.Contains(place.Name)
            ? $"{place.Name} is {Text(weights.GlobalShape(place.Name))} there and {Text(place.GlobalShape)} here"
            : $"{place.Name} {Text(place.GlobalShape)} is missing there")
            .Concat(unknown.Select(name => $"{name} {Text(weights.GlobalShape(name))} is unknown here")).ToList();
        var more = differences.Count > ShownDifferences ? $", and {differences.Count - ShownDifferences} more differences" : "";
        throw new JobMisconfiguredException(
            $"{source}, whose weights do not fit model.name {spec.Model.Name}: "
                + $"{string.Join(", ", differences.Take(ShownDifferences))}{more}; {Remedy(spec, differing, unknown)}");
    }

    private static string Remedy(JobSpec spec, List<LocalParameter> differing, List<string> unknown)
    {
        const string SameModel = "give model.name and model.options that the weights were made with";
        var onlyHead = unknown.Count == 0 && spec.IsTraining() && ClassifierHead.NamesOf(spec) is var head
            && differing.TrueForAll(place => head.Contains(place.Name));
        return onlyHead ? "set initFrom.newHead to true to draw these anew" : SameModel;
    }

    private static bool Same(LocalParameter place, IWeights weights) => weights.GlobalShape(place.Name).SequenceEqual(place.GlobalShape);

    private static string Text(IReadOnlyList<long> shape) => Shapes.Text([.. shape]);
}
