using Cluster.Contracts;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>Jobs that have the same bits each time, on devices alike, and begin again as often as it takes.</summary>
internal static class DisturbedJob
{
    public const int StepsAnEpoch = TrainSamples / BatchSize;

    private const int BatchSize = 64;
    private const int TrainSamples = 2048;

    /// <summary>Two that measure might not find the same layout, so it is given.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="epochs">How long it trains.</param>
    /// <param name="devices">Each on a node of its own.</param>
    /// <param name="batchSize">Of all ranks together.</param>
    /// <param name="only">The value of the label "only" that its nodes must have; any node unless given.</param>
    public static string Yaml(string name, int epochs, int devices = 1, int batchSize = BatchSize, string only = "") =>
        $$"""
        name: {{name}}
        model: {name: lenet5}
        data: {name: fashion-mnist, trainSamples: {{TrainSamples}}, validationSamples: 256}
        hyperparameters:
          epochs: {{epochs}}
          globalBatchSize: {{batchSize}}
          optimizer: {name: adam, learningRate: 0.002}
          memoryFormat: {{MemoryFormats.Contiguous}}
        resources: {devices: {{devices}}, maxDevicesPerNode: 1, nodeLabels: { {{(only.Length > 0 ? $"only: {only}" : "")}} } }
        parallelism: data
        checkpoints: {everyEpochs: 1, everySteps: 20}
        restarts: {maxRestarts: 100, initialBackoff: 1s, maxBackoff: 1s}
        seed: 7
        """;
}
