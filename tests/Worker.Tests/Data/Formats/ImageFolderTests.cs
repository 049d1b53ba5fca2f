using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Devices;
using Cluster.Worker.Tests.Data.Pictures;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Data.Formats;

public sealed class ImageFolderTests : IDisposable
{
    private readonly PictureFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_NumbersClassesByNameAndMixesTheSamples()
    {
        _folder.WriteClasses("train", classes: 3, pictures: 5);
        _folder.WriteClasses("val", classes: 2, pictures: 1);
        _folder.Write("train/class-1/notes.txt", []);
        _folder.Write("train/.cache/x.png", []);

        var (train, validation, test) = Open(classes: 3);

        (train.Count, validation.Count, test.Count).ShouldBe((15, 2, 0));
        Labels(train).CountBy(label => label).OrderBy(pair => pair.Key).Select(pair => pair.Value).ShouldBe([5, 5, 5]);
        Labels(train)[..5].Distinct().Count().ShouldBeGreaterThan(1); // the first samples stand for all
        Enumerable.Range(0, 15).Select(sample => Level(train, sample)).Order()
            .ShouldBe([0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24]);
        Enumerable.Range(0, 15).ShouldAllBe(sample => Level(train, sample) / 10 == train.Label(sample));
        Labels(Open(classes: 3).Train).ShouldBe(Labels(train));
    }

    [Fact]
    public void Open_WithATestFolder_ReadsIt()
    {
        _folder.WriteClasses("train", 2, 1);
        _folder.WriteClasses("val", 2, 1);
        _folder.WriteClasses("test", 2, 3);

        Open(classes: 2).Test.Count.ShouldBe(6);
    }

    [Fact]
    public void Open_OfAnotherNumberOfClasses_SaysBoth()
    {
        _folder.WriteClasses("train", 3, 1);
        _folder.WriteClasses("val", 3, 1);

        Should.Throw<JobMisconfiguredException>(() => Open(classes: 4))
            .Message.ShouldBe($"data.classes is 4 but {_folder.Path("train")} has 3 class folders; make them equal");
    }

    [Fact]
    public void Open_OfAClassThatOnlyValidationHas_NamesIt()
    {
        _folder.WriteClasses("train", 2, 1);
        _folder.WriteClasses("val", 3, 1);

        Should.Throw<DataSetException>(() => Open(classes: 2))
            .Message.ShouldContain("val/class-2 is a class that the training part has not");
    }

    [Theory]
    [InlineData("..")]
    [InlineData("../other")]
    [InlineData("/etc")]
    [InlineData("")]
    public void Open_OfAPath_IsRefused(string name) =>
        Should.Throw<DataSetException>(() => ImageFolder.Open(_folder.Root, name, 2, new Decoding(3)))
            .Message.ShouldContain("data.folder is");

    [Theory]
    [InlineData("")]
    [InlineData("train")]
    [InlineData("train/class-1")]
    [InlineData("train/class-0/0.png")]
    public void Open_OfALinkOutOfTheDataRoot_IsRefused(string link)
    {
        using var elsewhere = new PictureFolder();
        foreach (var folder in new[] { _folder, elsewhere })
        {
            folder.WriteClasses("train", 2, 1);
            folder.WriteClasses("val", 2, 1);
        }

        var path = _folder.Path(link).TrimEnd('/');
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
        else
            File.Delete(path);
        File.CreateSymbolicLink(path, elsewhere.Path(link).TrimEnd('/'));

        Should.Throw<DataSetException>(() => Open(classes: 2)).Message.ShouldContain("is a link that leads out of the data root");
    }

    [Fact]
    public void Open_OfALinkWithinTheDataRoot_Follows()
    {
        _folder.WriteClasses("train", 2, 1);
        _folder.WriteClasses("val", 2, 1);
        File.CreateSymbolicLink(Path.Combine(_folder.Root, "again"), PictureFolder.Name);

        ImageFolder.Open(_folder.Root, "again", 2, new Decoding(3)).Train.Count.ShouldBe(2);
        DataSets.Find(_folder.Root).ShouldBe(["synthetic", "image-folder/again", $"image-folder/{PictureFolder.Name}"]);
    }

    [Fact]
    public void Load_OfABrokenPicture_NamesItsFile()
    {
        _folder.Write("train/a/1.jpg", [0xFF, 0xD8, 0xFF]);
        _folder.Write("train/b/1.jpg", [1, 2, 3]);
        _folder.Write("val/a/1.png", Png.Of(new PictureSize(1, 1), 0));

        var train = Open(classes: 2).Train;
        using var buffers = new PictureBuffers();

        var faults = Enumerable.Range(0, 2)
            .Select(sample => Should.Throw<BrokenPictureException>(() => train.Load(sample, buffers, _ => 1)).Message).ToArray();

        faults.ShouldContain(fault => fault.StartsWith($"{_folder.Path("train/a/1.jpg")} claims 0×0 pixels"));
        faults.ShouldContain($"{_folder.Path("train/b/1.jpg")} is neither a JPEG nor a PNG file");
    }

    private (ImagePart Train, ImagePart Validation, ImagePart Test) Open(int classes) =>
        ImageFolder.Open(_folder.Root, PictureFolder.Name, classes, new Decoding(3));

    private static int[] Labels(ImagePart part) => [.. Enumerable.Range(0, part.Count).Select(part.Label)];

    private static int Level(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        part.Load(sample, buffers, _ => 1);
        return buffers.Picture.Values[0];
    }
}
