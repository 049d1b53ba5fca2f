using Cluster.Contracts;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Parallel;

namespace Cluster.Worker.Training;

/// <summary>Puts the weights that a job begins with into its network, or into a rank's part of it.</summary>
internal static partial class InitialWeights
{
    /// <summary>The folder of the nodes' data folder that holds safetensors files.</summary>
    private const string Folder = "weights";

    /// <summary>
    /// Overwrites parameters and running statistics, but for a new head. Reads only what this rank holds; a call on every rank, which all
    /// wait for the last.
    /// </summary>
    /// <exception cref="JobMisconfiguredException">The weights cannot be read, or are of another network.</exception>
    public static async Task LoadAsync(
        TrainerContext context, ImageClassifier network, IReadOnlyList<LocalParameter> parameters, CancellationToken cancellationToken)
    {
        var spec = context.Launch.Spec;
        var (weights, source) = await OpenAsync(context, cancellationToken);
        using (weights as IDisposable) // what is opened, not what may be put around it below
        {
            IReadOnlyList<LocalParameter> wanted =
            [
                .. parameters,
                .. network.Buffers()
                    .Select(b => new LocalParameter(b.Name, b.Buffer, b.Buffer.shape, new long[b.Buffer.dim()], IsOwner: true)),
            ];
            var names = wanted.Select(place => place.Name).Concat(network.HeldElsewhere).ToHashSet(StringComparer.Ordinal);
            var logger = context.LoggerFactory.CreateLogger(typeof(InitialWeights));
            if (UnwrappedWeights.TryUnwrap(weights, names) is { } unwrapped)
            {
                LogUnwrapped(logger, unwrapped.Prefix);
                weights = unwrapped;
            }

            IReadOnlySet<string> fresh = spec.InitFrom.NewHead ? ClassifierHead.NamesOf(spec) : new HashSet<string>();
            WeightsFit.Require(spec, source, wanted, weights, fresh, network.HeldElsewhere);
            var converted = await WeightsRead.ByAllAsync(
                context, weights, () => ReadAsync(weights, wanted.Where(place => !fresh.Contains(place.Name)), source, cancellationToken),
                cancellationToken);
            Log(logger, spec, source, wanted.Count, fresh, converted);
        }
    }

    /// <returns>How many tensors were stored as another type than they have here, by that type.</returns>
    private static async Task<SortedDictionary<string, int>> ReadAsync(
        IWeights weights, IEnumerable<LocalParameter> wanted, string source, CancellationToken cancellationToken)
    {
        var converted = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var place in wanted)
        {
            var dtype = await weights.DTypeAsync(place.Name, cancellationToken);
            if (dtype != TensorBytes.NameOf(place.Tensor.dtype))
                converted[dtype] = converted.GetValueOrDefault(dtype) + 1;
            Overwrite(
                place, dtype, await weights.ReadSliceAsync(place.Name, place.Offset, place.Tensor.shape, cancellationToken), source);
        }

        return converted;
    }

    private static async Task<(IWeights Weights, string Source)> OpenAsync(TrainerContext context, CancellationToken cancellationToken)
    {
        var from = context.Launch.Spec.InitFrom;
        if (from.Checkpoint.Length > 0)
            return (await CheckpointReader.OpenAsync(context.Link, from.Checkpoint, cancellationToken),
                $"initFrom.checkpoint is {from.Checkpoint}");
        var path = Path.Combine(context.Launch.DataRoot, Folder, from.File);
        var source = $"initFrom.file is {from.File}";
        try
        {
            return (SafetensorsFile.Open(path), source);
        }
        catch (InvalidDataException e)
        {
            throw new JobMisconfiguredException(
                $"{source}, which this system does not take for a safetensors file: {e.Message}; write it again");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new JobMisconfiguredException($"{source} but {path} cannot be read ({e.Message}); put the file there on every node, "
                + "or import it and name its checkpoint");
        }
    }

    private static void Overwrite(LocalParameter place, string dtype, byte[] bytes, string source)
    {
        try
        {
            TensorBytes.Overwrite(place.Tensor, dtype, bytes);
        }
        catch (InvalidDataException e)
        {
            throw new JobMisconfiguredException($"{source}, where {place.Name}: {e.Message}; save it as floating-point numbers");
        }
    }

    private static void Log(
        ILogger logger, JobSpec spec, string source, int tensors, IReadOnlySet<string> fresh, SortedDictionary<string, int> converted)
    {
        LogLoaded(logger, tensors - fresh.Count, source);
        foreach (var (dtype, count) in converted)
            LogConverted(logger, count, dtype, TensorBytes.NameOf(TrainingPartitions.PrecisionOf(spec.Hyperparameters.Precision)));
        if (fresh.Count > 0)
            LogFresh(logger, string.Join(", ", fresh));
    }

    [LoggerMessage(LogLevel.Information, "Begins with {Tensors} tensors: {Source}")]
    private static partial void LogLoaded(ILogger logger, int tensors, string source);

    [LoggerMessage(LogLevel.Information, "{Tensors} of them are stored as {Stored} and were converted to {Used}")]
    private static partial void LogConverted(ILogger logger, int tensors, string stored, string used);

    [LoggerMessage(LogLevel.Information, "Their names begin with {Prefix}, a wrapper's, which is left out")]
    private static partial void LogUnwrapped(ILogger logger, string prefix);

    [LoggerMessage(LogLevel.Information, "Drawn anew: {Names}")]
    private static partial void LogFresh(ILogger logger, string names);
}
