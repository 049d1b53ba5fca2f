using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Training;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training;

public sealed class BatchPlacementTests
{
    private static readonly ClassifierShape Shape = new(Channels: 3, InputSize: 8, Classes: 10);

    [Theory]
    [InlineData("resnet18", MemoryFormats.Auto, Precision.Float32, Parallelism.Data, true)]
    [InlineData("resnet18", "", Precision.Float32, Parallelism.Data, true)] // specs from before there was a choice
    [InlineData("vgg11", MemoryFormats.Auto, Precision.Float32, Parallelism.Data, false)]
    [InlineData("resnet18", MemoryFormats.Auto, Precision.Float64, Parallelism.Data, false)]
    [InlineData("alexnet", MemoryFormats.Auto, Precision.Float32, Parallelism.Model, false)]
    [InlineData("vgg11", MemoryFormats.ChannelsLast, Precision.Float64, Parallelism.Hybrid, true)]
    [InlineData("resnet18", MemoryFormats.Contiguous, Precision.Float32, Parallelism.Data, false)]
    public void For_AJob_TakesTheLayoutThatItSaysOrThatSuitsTheNetwork(
        string model, string format, Precision precision, Parallelism parallelism, bool channelsLast) =>
        BatchPlacement.For(Job(model, format, precision, parallelism), Shape, CPU).ChannelsLast.ShouldBe(channelsLast);

    [Theory]
    [InlineData("vgg11", Precision.Tf32, Parallelism.Data, true)]
    [InlineData("resnet18", Precision.Bfloat16, Parallelism.Data, true)]
    [InlineData("resnet18", Precision.Float32, Parallelism.Data, false)]
    [InlineData("alexnet", Precision.Tf32, Parallelism.Model, false)]
    public void For_AJobOnAGpu_TakesTheLayoutThatTensorCoresWant(
        string model, Precision precision, Parallelism parallelism, bool channelsLast) =>
        BatchPlacement.For(Job(model, MemoryFormats.Auto, precision, parallelism), Shape, new TorchSharp.torch.Device("cuda:0"))
            .ChannelsLast.ShouldBe(channelsLast);

    [Fact]
    public void For_AnUnknownFormat_IsRefused() =>
        Should.Throw<JobMisconfiguredException>(
            () => BatchPlacement.For(Job("vgg11", "nhwc", Precision.Float32, Parallelism.Data), Shape, CPU)).Message
            .ShouldBe("hyperparameters.memoryFormat is nhwc; choose auto, contiguous, channelsLast");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Place_ABatch_KeepsEveryElementInItsPlace(bool channelsLast)
    {
        using var scope = NewDisposeScope();
        using var batch = new HostBatch(samples: 2, globalSize: 4, views: 1, Shape.Channels * Shape.InputSize * Shape.InputSize);
        for (var i = 0; i < batch.Images.Length; i++)
            batch.Images[i] = i;

        var placed = new BatchPlacement(Shape, ScalarType.Float32, CPU, channelsLast).Place(batch, step: 3);

        placed.Images.stride()[1].ShouldBe(channelsLast ? 1 : Shape.InputSize * Shape.InputSize);
        ImageLayout.IsChannelsLast(placed.Images).ShouldBe(channelsLast);
        placed.Images.contiguous().data<float>().ToArray().ShouldBe(Enumerable.Range(0, batch.Images.Length).Select(i => (float)i));
        (placed.GlobalBatchSize, placed.Step).ShouldBe((4, 3));
    }

    /// <summary>Towers, response normalisation, dropout and shortcuts among them.</summary>
    [Theory]
    [InlineData("alexnet")]
    [InlineData("resnet18")]
    [InlineData("lenet5")]
    public void Step_InEitherLayout_HasTheSameLossAndGradients(string network)
    {
        using var scope = NewDisposeScope();
        using var partition = Trainings.Single(network, ScalarType.Float64);
        var batch = Trainings.Batch(partition, ScalarType.Float64, step: 1);
        var loss = partition.ForwardBackward(batch).LossSum;
        var expected = Trainings.Gradients(partition);

        var other = partition.ForwardBackward(batch with { Images = ImageLayout.ToChannelsLast(batch.Images) }).LossSum;

        // Sums of some thousand products in another order: 2⁻⁵³ · √1000 ≈ 4e-15 a layer, of values up to 1e2 in gradients.
        other.ShouldBe(loss, 1e-13);
        foreach (var (gradient, (name, _, values)) in Trainings.Gradients(partition).Zip(expected))
            gradient.Values.ShouldBe(values, 1e-11, name);
    }

    private static JobSpec Job(string model, string format, Precision precision, Parallelism parallelism) => new()
    {
        Model = new ModelSpec { Name = model },
        Parallelism = parallelism,
        Hyperparameters = new Hyperparameters { Precision = precision, MemoryFormat = format },
    };
}
