using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.Catalog;

public sealed class CatalogTests
{
    [Fact]
    public void Models_TakeTheirOwnDefaultsOnEveryDataSet()
    {
        foreach (var (model, data) in ModelCatalog.All.SelectMany(model => DataCatalog.All.Select(data => (model, data))))
        {
            // What a network sees of a folder's pictures by default is 224 pixels, which not every one takes.
            foreach (var option in model.Options.Where(option => !data.IsFolder || option.Name != ModelCatalog.InputSize))
                option.IsAllowed(option.DefaultFor(data)).ShouldBeTrue($"{model.Name}.{option.Name} on {data.Name}");
        }
    }

    [Fact]
    public void Models_HaveTheThreeOptionsThatFollowFromTheData()
    {
        foreach (var model in ModelCatalog.All)
            model.Options.Take(3).Select(option => option.Name)
                .ShouldBe([ModelCatalog.Classes, ModelCatalog.Channels, ModelCatalog.InputSize], model.Name);
    }

    [Fact]
    public void Data_LeavesMostOfTheTrainingPartForTraining()
    {
        foreach (var data in DataCatalog.All.Where(data => !data.IsFolder))
            (data.DefaultValidationSamples * 2).ShouldBeLessThan(data.TrainSamples, data.Name);
    }

    [Theory]
    [InlineData("fashion-mnist", 0, 0)]
    [InlineData("synthetic", 0, 0)]
    [InlineData("image-folder", 0, 64 << 20)] // stored before it could be said
    [InlineData("tar-shards", 200, 200 << 20)]
    [InlineData("raw-shards", 0, 64 << 20)]
    public void DecodingBytes_AreThoseOfPicturesInFiles(string name, int mib, long bytes) =>
        DataCatalog.DecodingBytes(new() { Name = name, DecodingMemoryMib = mib }).ShouldBe(bytes);

    [Theory]
    [InlineData(DataCatalog.FashionMnist, 70_000 * 785)]
    [InlineData(DataCatalog.Cifar100, 60_000 * 3073)]
    [InlineData(DataCatalog.Synthetic, 0)]
    [InlineData(DataCatalog.ImageFolder, 0)]
    public void HeldBytes_AreThoseOfPicturesThatLieInMemory(string name, long bytes)
    {
        DataCatalog.TryGet(name, out var data).ShouldBeTrue();

        data!.HeldBytes.ShouldBe(bytes);
    }

    [Fact]
    public void Coerce_MakesAWholeNumberANumberAndNothingElse()
    {
        ModelCatalog.TryGet("alexnet", out var model).ShouldBeTrue();
        var (width, lrn) = (model.Option("width")!, model.Option("lrn")!);

        width.Coerce(new OptionValue { IntValue = 1 }).ShouldBe(new OptionValue { DoubleValue = 1 });
        width.Coerce(new OptionValue { StringValue = "1" }).ShouldBeNull();
        lrn.Coerce(new OptionValue { IntValue = 1 }).ShouldBeNull();
    }

    [Theory]
    [InlineData("", "", 0)]
    [InlineData("abc", "abc", 0)]
    [InlineData("abc", "acb", 1)]
    [InlineData("abc", "ab", 1)]
    [InlineData("ab", "abc", 1)]
    [InlineData("abc", "axc", 1)]
    [InlineData("abcd", "badc", 2)]
    [InlineData("kitten", "sitting", 3)]
    public void Edits_CountsSingleSlips(string from, string to, int edits) => NearestName.Edits(from, to).ShouldBe(edits);

    [Theory]
    [InlineData("epoch", "epochs")]
    [InlineData("Max_Steps", "maxSteps")]
    [InlineData("elephant", null)]
    [InlineData("", null)]
    public void Of_SuggestsOnlyALikelySlip(string written, string? nearest) =>
        NearestName.Of(written, ["epochs", "maxSteps", "globalBatchSize"]).ShouldBe(nearest);
}
