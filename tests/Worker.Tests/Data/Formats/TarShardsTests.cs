using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Devices;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Formats;

public sealed class TarShardsTests : IDisposable
{
    private static readonly byte[] APicture = Png.Of(new PictureSize(3, 4), 5);

    private readonly PictureFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_PairsPicturesWithTheirClassesOverAllShards()
    {
        _folder.WriteTar("train-000.tar", ("000000.png", Png.Of(new PictureSize(3, 4), 200)), ("000000.cls", [.. "300"u8]),
            ("000001.cls", [.. "7\n"u8]), ("000001.json", [1]), ("000001.png", Png.Of(new PictureSize(3, 4), 7)));
        _folder.WriteTar("train-001.tar", ("sub/000000.png", Png.Of(new PictureSize(3, 4), 9)), ("sub/000000.cls", [.. "9"u8]));
        _folder.WriteTar("val-000.tar", ("a.png", APicture), ("a.cls", [.. "0"u8]));

        var (train, validation, test) = Open(classes: 1000);

        (train.Count, validation.Count, test.Count).ShouldBe((3, 1, 0));
        // wider than a byte
        Enumerable.Range(0, 3).Select(sample => (train.Label(sample), Level(train, sample))).Order().ShouldBe([(7, 7), (9, 9), (300, 200)]);
        DataSets.Find(_folder.Root).ShouldContain($"tar-shards/{PictureFolder.Name}");
    }

    [Theory]
    [InlineData("12", "class '12'; data.classes is 12, so it must be a number from 0 to 11")]
    [InlineData("-1", "class '-1'")]
    [InlineData("cat", "class 'cat'")]
    [InlineData("", "class ''")]
    [InlineData("00000000000000000000000000001", "class ''")]
    public void Open_OfAWrongClass_NamesShardAndEntry(string written, string says)
    {
        _folder.WriteTar("train-0.tar", ("7.png", APicture), ("7.cls", System.Text.Encoding.ASCII.GetBytes(written)));

        var fault = Refused();

        fault.ShouldContain("train-0.tar, 7.cls: ");
        fault.ShouldContain(says);
    }

    [Fact]
    public void Open_OfHalfAPair_NamesIt()
    {
        _folder.WriteTar("train-0.tar", ("7.png", APicture));
        Refused().ShouldContain("has a picture 7 without 7.cls");

        _folder.WriteTar("train-0.tar", ("7.cls", [.. "1"u8]));
        Refused().ShouldContain("has 7.cls without a picture");
    }

    [Fact]
    public void Open_OfPathsThatWouldLeadOut_TakesThemForNames()
    {
        _folder.WriteTar("train-0.tar", ("../../../etc/7.png", APicture), ("../../../etc/7.cls", [.. "1"u8]), ("/abs/8.png", APicture),
            ("/abs/8.cls", [.. "1"u8]));
        _folder.WriteTar("val-0.tar", ("7.png", APicture), ("7.cls", [.. "1"u8]));

        Open(classes: 12).Train.Count.ShouldBe(2);
        Directory.GetFileSystemEntries(_folder.Root).ShouldBe([Path.Combine(_folder.Root, PictureFolder.Name)]); // nothing was unpacked
    }

    [Fact]
    public void Open_OfWhatIsNoTar_SaysSo()
    {
        _folder.Write("train-0.tar", [.. Enumerable.Repeat((byte)0xEE, 5000)]);

        Refused().ShouldContain("train-0.tar cannot be read as a tar file");
    }

    private string Refused()
    {
        _folder.WriteTar("val-0.tar", ("7.png", APicture), ("7.cls", [.. "1"u8]));
        return Should.Throw<DataSetException>(() => Open(classes: 12)).Message;
    }

    private (ImagePart Train, ImagePart Validation, ImagePart Test) Open(int classes) =>
        TarShards.Open(_folder.Root, PictureFolder.Name, classes, new Decoding(3));

    private static int Level(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        part.Load(sample, buffers, _ => 1);
        return buffers.Picture.Values[0];
    }
}
