using Cluster.Contracts.V1;

namespace Cluster.Contracts.Safetensors;

/// <summary>
/// Names of a checkpoint's files, by which readers tell what is in them. A rank that holds a part of the network writes files of its own.
/// </summary>
public static class CheckpointLayout
{
    /// <summary>Weights in one file.</summary>
    public const string ModelFile = "model.safetensors";

    /// <summary>How far the run had come.</summary>
    public const string PositionFile = "position.json";

    private const string Predictions = "predictions-";

    /// <summary>The file of a rank's weights, where other ranks have others.</summary>
    public static string ModelFileOf(int rank) => $"model-{rank}.safetensors";

    public static string OptimizerFileOf(int rank) => $"optimizer-{rank}.safetensors";

    /// <summary>A rank's predictions: length-delimited <see cref="Prediction"/> messages in ascending order of their samples.</summary>
    public static string PredictionsFileOf(int rank) => $"{Predictions}{rank}.bin";

    /// <summary>Whether a file holds weights rather than an optimizer's state.</summary>
    public static bool HoldsWeights(string file) => file.StartsWith("model", StringComparison.Ordinal);

    public static bool HoldsPredictions(string file) => file.StartsWith(Predictions, StringComparison.Ordinal);
}
