using Cluster.Contracts;

namespace Cluster.EndToEnd.Tests;

/// <summary>Job files that are over in seconds.</summary>
internal static class JobFiles
{
    /// <summary>LeNet-5 on a few thousand images, data-parallel over one device of each of two nodes.</summary>
    public static string LeNet(
        string name, int epochs = 2, int trainSamples = 4096, int everySteps = 0, string memoryFormat = MemoryFormats.Auto) =>
        $$"""
        name: {{name}}
        model: {name: lenet5}
        data: {name: fashion-mnist, trainSamples: {{trainSamples}}, validationSamples: 512}
        hyperparameters:
          epochs: {{epochs}}
          globalBatchSize: 64
          optimizer: {name: adam, learningRate: 0.002}
          memoryFormat: {{memoryFormat}}
        resources: {devices: 2, maxDevicesPerNode: 1}
        parallelism: data
        checkpoints: {everyEpochs: 1, everySteps: {{everySteps}}}
        restarts: {maxRestarts: 3, initialBackoff: 1s}
        seed: 7
        """;

    /// <summary>As much, until it is cancelled, in steps of some tens of milliseconds; all its checkpoints are kept.</summary>
    public static string Endless(string name) =>
        $$"""
        name: {{name}}
        model: {name: lenet5}
        data: {name: fashion-mnist, trainSamples: 20480, validationSamples: 512}
        hyperparameters:
          epochs: 10000
          globalBatchSize: 1024
          optimizer: {name: adam, learningRate: 0.002}
          memoryFormat: {{MemoryFormats.Contiguous}}
        resources: {devices: 2, maxDevicesPerNode: 1}
        parallelism: data
        checkpoints: {everySteps: 10, keepLatest: 1000}
        restarts: {maxRestarts: 3, initialBackoff: 1s}
        seed: 7
        """;

    /// <summary>A narrow ResNet-18 for 50 steps an epoch, data-parallel over one device of each of two nodes.</summary>
    public static string ResNet(string name, int epochs) =>
        $$"""
        name: {{name}}
        model:
          name: resnet18
          options: {width: 0.5}
        data: {name: synthetic, imageSize: 32, channels: 3, trainSamples: 1600, validationSamples: 64}
        hyperparameters:
          epochs: {{epochs}}
          globalBatchSize: 32
          optimizer: {name: sgd, learningRate: 0.01, momentum: 0.9}
        resources: {devices: 2, maxDevicesPerNode: 1}
        parallelism: data
        seed: 7
        """;

    /// <summary>A narrow AlexNet in its two towers on two devices.</summary>
    public static string AlexNetTowers(string name) =>
        $$"""
        name: {{name}}
        model:
          name: alexnet
          options: {inputSize: 28, channels: 1, classes: 10, width: 0.125, init: he}
        data: {name: fashion-mnist, trainSamples: 2048, validationSamples: 256}
        hyperparameters:
          epochs: 1
          globalBatchSize: 64
          optimizer: {name: sgd, learningRate: 0.01, momentum: 0.9}
        resources: {devices: 2}
        parallelism: model
        seed: 7
        """;

    /// <summary>A narrow VGG A in two stages, on one device of each of two nodes.</summary>
    public static string VggStages(string name) =>
        $$"""
        name: {{name}}
        model:
          name: vgg11
          options: {width: 0.0625, init: he}
        data: {name: fashion-mnist, trainSamples: 1024, validationSamples: 256}
        hyperparameters:
          epochs: 2
          globalBatchSize: 64
          microBatches: 4
          optimizer: {name: adam, learningRate: 0.001}
        resources: {devices: 2, maxDevicesPerNode: 1}
        parallelism: pipeline
        seed: 7
        """;
}
