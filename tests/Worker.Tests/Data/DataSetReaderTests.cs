using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;

namespace Cluster.Worker.Tests.Data;

public sealed class DataSetReaderTests
{
    private const string DebianDataSets = "/usr/share/datasets"; // package dataset-fashion-mnist, which ./cluster setup installs

    [Fact]
    public void FashionMnist_HasItsPublishedSizeAndStatistics()
    {
        var data = DataSetReader.Read(DataCatalog.FashionMnist, DebianDataSets);

        data.Train.Count.ShouldBe(60_000);
        data.Test.Count.ShouldBe(10_000);
        data.Train.Labels.ToArray().CountBy(label => label).ShouldAllBe(pair => pair.Value == 6_000);
        data.Test.Labels.ToArray().CountBy(label => label).ShouldAllBe(pair => pair.Value == 1_000);
        data.Train.Labels.Span[0].ShouldBe((byte)9); // an ankle boot
        ShouldBeNormalized(data);
    }

    [Fact]
    public void Synthetic_IsTheSameEveryTimeAndNormalized()
    {
        var first = DataSetReader.Read(DataCatalog.Synthetic, "/nonexistent");
        var again = DataSetReader.Read(DataCatalog.Synthetic, "/nonexistent");

        again.Train.Pixels.Span.SequenceEqual(first.Train.Pixels.Span).ShouldBeTrue();
        first.Train.Count.ShouldBe(first.Definition.TrainSamples);
        first.Test.Count.ShouldBe(first.Definition.TestSamples);
        first.Train.Labels.ToArray().Distinct().Count().ShouldBe(first.Definition.Classes);
        first.Test.Pixels.Span[..784].SequenceEqual(first.Train.Pixels.Span[..784]).ShouldBeFalse();
        ShouldBeNormalized(first);
    }

    [Fact]
    public void EveryDataSetOfTheCatalogue_HasAReader()
    {
        foreach (var definition in DataCatalog.All.Where(definition => !definition.IsGenerated))
        {
            Should.Throw<DataSetException>(() => DataSetReader.Read(definition.Name, "/nonexistent"))
                .Message.ShouldContain($"/nonexistent/{definition.Name}/train-images-idx3-ubyte.gz");
        }
    }

    [Fact]
    public void UnknownName_ListsTheKnownOnes() =>
        Should.Throw<DataSetException>(() => DataSetReader.Read("cifar", "/nonexistent")).Message.ShouldContain("data.name is cifar; known data sets: fashion-mnist");

    [Fact]
    public void WrongLabel_IsFoundAtItsByte()
    {
        var root = Directory.CreateTempSubdirectory("labels-");
        try
        {
            var folder = root.CreateSubdirectory("mnist").FullName;
            File.WriteAllBytes(Path.Combine(folder, "train-images-idx3-ubyte"), IdxFileTests.Idx([60_000, 28, 28], new byte[60_000 * 784]));
            var labels = new byte[60_000];
            labels[100] = 10;
            File.WriteAllBytes(Path.Combine(folder, "train-labels-idx1-ubyte"), IdxFileTests.Idx([60_000], labels));

            Should.Throw<DataSetException>(() => DataSetReader.Read(DataCatalog.Mnist, root.FullName))
                .Message.ShouldContain("train-labels-idx1-ubyte, byte 108: label 10");
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    [Fact]
    public void Cut_TakesValidationFromTheEndAndTheFirstOfTheRest()
    {
        var data = DataSetReader.Read(DataCatalog.Synthetic, "/nonexistent");
        var parts = DataParts.Cut(data, validationSamples: 500, trainSamples: 1000);

        parts.Train.Labels.Span.SequenceEqual(data.Train.Labels.Span[..1000]).ShouldBeTrue();
        parts.Validation.Labels.Span.SequenceEqual(data.Train.Labels.Span[^500..]).ShouldBeTrue();
        parts.Validation.Pixels.Span.SequenceEqual(data.Train.Pixels.Span[^(500 * 784)..]).ShouldBeTrue();
        DataParts.Cut(data, 500, 0).Train.Count.ShouldBe(5_500);
    }

    [Theory]
    [InlineData(6_000, 0, "data.validationSamples is 6000")]
    [InlineData(-1, 0, "data.validationSamples is -1")]
    [InlineData(500, 5_501, "data.trainSamples is 5501 but synthetic has 5500")]
    public void Cut_MoreThanThereIs_IsRefused(int validation, int train, string says) =>
        Should.Throw<Cluster.Worker.Training.JobMisconfiguredException>(
            () => DataParts.Cut(DataSetReader.Read(DataCatalog.Synthetic, "/nonexistent"), validation, train)).Message.ShouldContain(says);

    private static void ShouldBeNormalized(ImageDataSet data)
    {
        var values = data.Train.Pixels.ToArray().Take(5_000 * 784).Select(pixel => (double)data.Normalization.Apply(pixel)).ToArray();
        values.Average().ShouldBe(0, 0.02, $"variance {values.Average(v => v * v)}"); // a part stands for the whole, whose constants are rounded to a hundredth
        values.Average(v => v * v).ShouldBe(1, 0.03);
    }
}
