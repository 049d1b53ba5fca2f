using Cluster.Contracts.JobFiles;

namespace Cluster.Contracts.Tests.JobFiles;

public sealed class JobSpecWarningsTests
{
    [Theory]
    [InlineData("resnet18", 4, 60, "", "resnet18 normalises 15 samples by their own mean and variance, and below 16 those are rough; "
        + "raise hyperparameters.globalBatchSize, or set hyperparameters.syncBatchNorm to true")]
    [InlineData("resnet18", 4, 4, "", "resnet18 normalises each sample by their own mean and variance, and below 16 those are rough; "
        + "raise hyperparameters.globalBatchSize, or set hyperparameters.syncBatchNorm to true")]
    [InlineData("resnet18", 1, 64, "accumulationSteps: 8",
        "resnet18 normalises 8 samples by their own mean and variance, and below 16 those are rough; "
            + "raise hyperparameters.globalBatchSize, or set hyperparameters.syncBatchNorm to true")]
    [InlineData("resnet18", 4, 64, "", null)] // 16 a device
    [InlineData("resnet18", 4, 60, "syncBatchNorm: true", null)]
    [InlineData("vgg11", 4, 8, "", null)] // has no batch normalisation
    [InlineData("resnet18", 1, 8, "", null)] // all that there is
    public void Of_FewSamplesThatAreNormalisedTogether_SaysSoWithTheRemedy(
        string model, int devices, int batch, string more, string? warning)
    {
        var spec = JobFile.Parse(
            $"""
            name: warned
            model:
              name: {model}
            data:
              name: synthetic
            hyperparameters:
              epochs: 1
              globalBatchSize: {batch}
              {more}
              optimizer:
                name: sgd
                learningRate: 0.1
            resources:
              devices: {devices}
            parallelism: data
            """);

        JobSpecWarnings.Of(spec).ShouldBe(warning is null ? [] : [warning]);
    }
}
