using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.JobFiles;

/// <summary>What a job file says of its data beyond the name.</summary>
public sealed class DataFieldsTests
{
    [Fact]
    public void Folder_TakesItsSizesFromTheFile()
    {
        var spec = JobFile.Parse("model: resnet18\ndata: { name: image-folder, folder: my-photos, classes: 37 }");

        var options = spec.Model.Options;
        (options["classes"].IntValue, options["channels"].IntValue, options["inputSize"].IntValue).ShouldBe((37, 3, 224));
        (spec.Data.ImageSize, spec.Data.Augmentation.Crop, spec.Checkpoints.KeepBest).ShouldBe((256, "random", true));
        DataCatalog.AdvertisedName(spec.Data).ShouldBe("image-folder/my-photos");
    }

    [Fact]
    public void Synthetic_TakesItsSizesFromTheFile()
    {
        var options = JobFile.Parse("model: resnet18\ndata: { name: synthetic, classes: 4, imageSize: 64, channels: 3 }").Model.Options;

        (options["classes"].IntValue, options["channels"].IntValue, options["inputSize"].IntValue).ShouldBe((4, 3, 64));
    }

    [Theory]
    [InlineData("fine", 100)]
    [InlineData("coarse", 20)]
    public void Cifar100_HasTheClassesOfItsLabels(string labels, long classes) =>
        JobFile.Parse($"model: resnet18\ndata: {{ name: cifar-100, labels: {labels} }}").Model.Options["classes"]
            .IntValue.ShouldBe(classes);

    [Fact]
    public void ReceivedSpecOfBefore_TakesTheDefaultsOfWhatItCouldNotSay()
    {
        var received = new JobSpec
        {
            Model = new ModelSpec { Name = "lenet5" },
            Data = new DataSpec { Name = "synthetic", TrainSamples = 100, ValidationSamples = 10 },
        };
        received.Hyperparameters = new Hyperparameters
        {
            Epochs = 1,
            GlobalBatchSize = 10,
            Optimizer = new OptimizerSpec { Name = "adam", LearningRate = 1, Epsilon = 1 },
        };

        var data = JobSpecValidator.Complete(received).Data;

        (data.Classes, data.ImageSize, data.Channels, data.Normalization.Mean).ShouldBe((10, 28, 1, "own"));
    }

    [Theory]
    [InlineData("{ name: image-folder, classes: 5 }",
        "data.folder is missing; name a folder in the nodes' data root, such as my-photos, without a path")]
    [InlineData("{ name: image-folder, folder: x }", "data.classes is missing; write a number such as 10")]
    [InlineData("{ name: image-folder, folder: ../x, classes: 5 }", "data.folder is ../x but must be 1 to 63 letters")]
    [InlineData("{ name: image-folder, folder: /etc, classes: 5 }", "data.folder is /etc but must be 1 to 63 letters")]
    [InlineData("{ name: image-folder, folder: .., classes: 5 }", "data.folder is .. but must be 1 to 63 letters")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, channels: 2 }", "data.channels is 2 but must be 1 or 3")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, validationSamples: 5 }",
        "data.validationSamples is 5 but belongs to data whose pictures have one size only; remove it")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, augmentation: { minScale: 0.5 } }",
        "data.augmentation.minScale is 0.5 but belongs to crop resized only; remove it")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, imageSize: 64 }", "")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, imageSize: 128, augmentation: { crop: resized, minScale: 0 } }",
        "data.augmentation.minScale")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, normalization: { mean: 0.5 0.5 } }",
        "data.normalization.mean is 0.5 0.5 but image-folder has 3 channels here; give 3 numbers, or own")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, normalization: { deviation: 0 0 0 } }",
        "data.normalization.deviation is \"0 0 0\" but must be own or 1 to 3")]
    [InlineData("{ name: image-folder, folder: x, classes: 5, channels: 1, augmentation: { pcaJitter: 0.1 } }",
        "data.augmentation.pcaJitter is 0.1 but image-folder is grey here")]
    [InlineData("{ name: cifar-10, labels: coarse }", "data.labels is coarse but belongs to data cifar-100 only; remove it")]
    [InlineData("{ name: cifar-10, classes: 5 }",
        "data.classes is 5 but belongs to data synthetic, image-folder, tar-shards or raw-shards only; remove it")]
    public void Data_ThatDoesNotFit_IsRefused(string data, string message)
    {
        var file = $"model: resnet18\ndata: {data}";
        if (message.Length == 0)
            JobFile.Parse(file).ShouldNotBeNull();
        else
            Should.Throw<JobFileException>(() => JobFile.Parse(file)).Message.ShouldContain(message);
    }

    [Theory]
    [InlineData("256", "")]
    [InlineData("224", "evaluation.crops is ten but image-folder leaves no room around the network's input")]
    [InlineData("223", "data.imageSize is 223 but model.options.inputSize is 224, which is cropped from it; use 224 or more")]
    public void Crops_NeedPicturesLargerThanTheInput(string imageSize, string message)
    {
        var file =
            $"model: {{ name: resnet18, options: {{ inputSize: 224 }} }}\ndata: {{ name: image-folder, folder: x, classes: 5, imageSize: "
                + $"{imageSize} }}\nevaluation: {{ crops: ten }}";
        if (message.Length == 0)
            JobFile.Parse(file).Evaluation.Crops.ShouldBe(DataCatalog.TenCrops);
        else
            Should.Throw<JobFileException>(() => JobFile.Parse(file)).Message.ShouldContain(message);
    }
}
