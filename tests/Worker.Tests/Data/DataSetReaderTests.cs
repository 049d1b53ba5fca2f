using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;

namespace Cluster.Worker.Tests.Data;

public sealed class DataSetReaderTests
{
    private const string DebianDataSets = "/usr/share/datasets"; // package dataset-fashion-mnist, which ./cluster setup installs

    [Fact]
    public void FashionMnist_HasItsPublishedSizeAndStatistics()
    {
        var data = Read(DataCatalog.FashionMnist, DebianDataSets);

        data.Train.Count.ShouldBe(60_000);
        data.Test.Count.ShouldBe(10_000);
        Labels(data.Train).CountBy(label => label).ShouldAllBe(pair => pair.Value == 6_000);
        Labels(data.Test).CountBy(label => label).ShouldAllBe(pair => pair.Value == 1_000);
        data.Train.Label(0).ShouldBe(9); // an ankle boot
        ShouldBeNormalized(data);
    }

    [Fact]
    public void Synthetic_IsTheSameEveryTimeAndNormalized()
    {
        var first = Read(DataCatalog.Synthetic);
        var again = Read(DataCatalog.Synthetic);

        Pixels(again.Train, 0).ShouldBe(Pixels(first.Train, 0));
        Pixels(again.Test, 999).ShouldBe(Pixels(first.Test, 999));
        first.Train.Count.ShouldBe(first.Definition.TrainSamples);
        first.Test.Count.ShouldBe(first.Definition.TestSamples);
        Labels(first.Train).Distinct().Count().ShouldBe(first.Definition.Classes);
        Pixels(first.Test, 0).ShouldNotBe(Pixels(first.Train, 0));
        ShouldBeNormalized(first);
    }

    [Fact]
    public void EveryDataSetOfTheCatalogue_HasAReader()
    {
        foreach (var definition in DataCatalog.All.Where(definition => !definition.IsGenerated))
        {
            Should.Throw<DataSetException>(() => Read(definition.Name))
                .Message.ShouldContain($"/nonexistent/{definition.Name}");
        }
    }

    [Fact]
    public void UnknownName_ListsTheKnownOnes() =>
        Should.Throw<DataSetException>(() => Read("cifar")).Message.ShouldContain("data.name is cifar; known data sets: fashion-mnist");

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

            Should.Throw<DataSetException>(() => Read(DataCatalog.Mnist, root.FullName))
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
        var data = Read(DataCatalog.Synthetic);
        var parts = DataParts.Cut(data, validationSamples: 500, trainSamples: 1000);

        Labels(parts.Train).ShouldBe(Labels(data.Train)[..1000]);
        Labels(parts.Validation).ShouldBe(Labels(data.Train)[^500..]);
        Pixels(parts.Validation, 0).ShouldBe(Pixels(data.Train, 5_500));
        Should.Throw<ArgumentOutOfRangeException>(() => parts.Validation.Label(500));
        DataParts.Cut(data, 500, 0).Train.Count.ShouldBe(5_500);
    }

    [Theory]
    [InlineData(6_000, 0, "data.validationSamples is 6000")]
    [InlineData(-1, 0, "data.validationSamples is -1")]
    [InlineData(500, 5_501, "data.trainSamples is 5501 but synthetic has 5500")]
    public void Cut_MoreThanThereIs_IsRefused(int validation, int train, string says) =>
        Should.Throw<Cluster.Worker.Training.JobMisconfiguredException>(
            () => DataParts.Cut(Read(DataCatalog.Synthetic), validation, train)).Message.ShouldContain(says);

    [Fact]
    public void Synthetic_TakesTheSizesOfTheJob()
    {
        var data = DataSetReader.Read(
            new DataSpec { Name = DataCatalog.Synthetic, Classes = 4, Channels = 3, ImageSize = 64 }, "/nonexistent");

        Labels(data.Train).Distinct().Order().ShouldBe([0, 1, 2, 3]);
        Pixels(data.Train, 0).Length.ShouldBe(3 * 64 * 64);
        Enumerable.Range(0, 3).Select(c => Pixels(data.Train, 0).Where((_, i) => i % 3 == c).ToArray()).DistinctBy(Convert.ToHexString)
            .Count().ShouldBe(3);
    }

    private static ImageDataSet Read(string name, string dataRoot = "/nonexistent") =>
        DataSetReader.Read(new DataSpec { Name = name, Folder = name }, dataRoot);

    private static int[] Labels(ImagePart part) => [.. Enumerable.Range(0, part.Count).Select(part.Label)];

    private static byte[] Pixels(ImagePart part, int sample)
    {
        var buffers = new PictureBuffers();
        part.Load(sample, buffers, _ => 1);
        return buffers.Picture.Values.ToArray();
    }

    private static void ShouldBeNormalized(ImageDataSet data)
    {
        var values = Enumerable.Range(0, 3_000)
            .SelectMany(sample => Pixels(data.Train, sample).Select(pixel => (double)data.Normalization.Apply(0, pixel))).ToArray();
        // a part stands for the whole, whose constants are rounded to a hundredth
        values.Average().ShouldBe(0, 0.03, $"variance {values.Average(v => v * v)}");
        values.Average(v => v * v).ShouldBe(1, 0.05);
    }
}
