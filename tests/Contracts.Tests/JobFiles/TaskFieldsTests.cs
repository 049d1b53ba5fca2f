using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.JobFiles;

/// <summary>What a job file may say for each task, and where its weights come from.</summary>
public sealed class TaskFieldsTests
{
    private const string Sound = "model: lenet5\ndata: fashion-mnist\n";
    private const string Weights = "initFrom: { file: lenet.safetensors }\n";

    [Fact]
    public void Evaluate_WritesDownOnlyWhatItReads()
    {
        var spec = JobFile.Parse(Sound + Weights + "task: evaluate\n");

        var written = JobFile.Write(spec);

        foreach (var key in (string[])["epochs", "optimizer", "schedule", "checkpoints", "augmentation", "seed", "trainSamples", "newHead",
            "part"])
            written.ShouldNotContain(key);
        foreach (var key in (string[])["globalBatchSize: 128", "precision: float32", "validationSamples: 5000", "file: lenet.safetensors",
            "name: evaluate"])
            written.ShouldContain(key);
        JobFile.Parse(written).ShouldBe(spec);
    }

    [Theory]
    [InlineData("task: predict", DataPart.Test, 0)]
    [InlineData("task: { name: predict, part: validation }", DataPart.Validation, 5000)]
    [InlineData("task: { name: predict, part: train }\ndata: { name: fashion-mnist, trainSamples: 7 }", DataPart.Train, 5000)]
    public void Predict_TakesThePartAndWhatItDependsOn(string lines, DataPart part, int validationSamples)
    {
        var spec = JobFile.Parse((lines.Contains("data:") ? "model: lenet5\n" : Sound) + Weights + lines);

        (spec.Task.Part, spec.Data.ValidationSamples).ShouldBe((part, validationSamples));
    }

    [Theory]
    [InlineData(
        "task: evaluate\nhyperparameters: { epochs: 3 }", "hyperparameters.epochs is 3 but has no effect in task evaluate; remove it")]
    [InlineData("task: evaluate\nhyperparameters: { optimizer: { momentum: 0.9 } }",
        "hyperparameters.optimizer.momentum is 0.9 but has no effect in task evaluate; remove it")]
    [InlineData("task: evaluate\nseed: 3", "seed is 3 but has no effect in task evaluate; remove it")]
    [InlineData(
        "task: evaluate\ncheckpoints: { keepLatest: 3 }", "checkpoints.keepLatest is 3 but has no effect in task evaluate; remove it")]
    [InlineData("task: { name: evaluate, part: test }", "task.part is test but belongs to task predict only; remove it")]
    [InlineData("task: predict\nparallelism: model",
        "parallelism is model but task predict splits its samples over the devices and nothing else; use data or leave it out")]
    [InlineData("task: evalute", "task is evalute but no task of that name is known; did you mean evaluate?")]
    public void WhatATaskDoesNotRead_IsRefused(string lines, string message) => Refused(Sound + Weights + lines, message);

    [Theory]
    [InlineData("task: { name: predict, part: test }\ndata: { name: mnist, validationSamples: 3 }",
        "data.validationSamples is 3 but has no effect in task predict of the test part; remove it")]
    [InlineData("task: { name: predict, part: validation }\ndata: { name: mnist, trainSamples: 3 }",
        "data.trainSamples is 3 but has no effect in task predict of the validation part; remove it")]
    [InlineData("task: { name: predict, part: validation }\ndata: { name: mnist, validationSamples: 0 }",
        "task.part is validation but data.validationSamples is 0; set validation samples aside or predict another part")]
    public void SamplesOfPartsThatAreNotLookedAt_AreRefused(string lines, string message) =>
        Refused("model: lenet5\n" + Weights + lines, message);

    [Fact]
    public void Predict_TakesNoStandInsForBrokenPictures() => Refused(
        "model: resnet18\ndata: { name: image-folder, folder: mine, classes: 10, maxBrokenImages: 3 }\ntask: predict\n" + Weights,
        "data.maxBrokenImages is 3 but has no effect in task predict of the test part; remove it");

    [Theory]
    [InlineData("task: evaluate", "initFrom is missing and task evaluate needs weights; add initFrom with a checkpoint, job or file")]
    [InlineData(
        "initFrom: { job: 0f3c9a1b, file: a.safetensors }", "initFrom names more than one of checkpoint, job and file; keep one of them")]
    [InlineData("initFrom: { checkpoint: newest }",
        "initFrom.checkpoint is newest but must be a checkpoint's id or its first 4 or more hexadecimal digits; "
            + "copy it from ./cluster checkpoint list")]
    [InlineData("initFrom: { file: ../secrets.safetensors }",
        "initFrom.file is ../secrets.safetensors but must be the name of a .safetensors file, without folders; "
            + "put the file into the folder weights of the nodes' data folder and give its name")]
    [InlineData("initFrom: { file: a.safetensors, which: best }", "initFrom.which is best but belongs to initFrom.job only; remove it")]
    [InlineData("initFrom: { newHead: true }", "initFrom.newHead is true but belongs to weights to begin with only; remove it")]
    [InlineData("initFrom: { file: a.safetensors, newHead: true }\ntask: evaluate",
        "initFrom.newHead is true but has no effect in task evaluate; remove it")]
    public void WrongInitFrom_IsRefused(string lines, string message) => Refused(Sound + lines, message);

    private static void Refused(string yaml, string message)
    {
        var refused = Should.Throw<JobFileException>(() => JobFile.Parse(yaml));
        refused.Violations.Select(violation => violation.ToString()[(violation.ToString().IndexOf(':') + 2)..]).ShouldBe([message]);
    }
}
