using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Packing;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Packing;

public sealed class PicturePackerTests : IDisposable
{
    private const string Packed = "packed";

    private readonly PictureFolder _folder = new();
    private readonly StringWriter _output = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Run_KeepsEveryPictureWithItsClass(int channels)
    {
        _folder.WriteClasses("train", classes: 3, pictures: 4);
        _folder.WriteClasses("val", classes: 3, pictures: 1);
        _folder.WriteClasses("test", classes: 3, pictures: 2);

        Run(side: 8, channels);

        var parts = RawShards.Open(_folder.Root, Packed, classes: 3, new Decoding(channels));
        (parts.Train.Count, parts.Validation.Count, parts.Test.Count).ShouldBe((12, 3, 6));
        Enumerable.Range(0, 12).Select(sample => (parts.Train.Label(sample), Level(parts.Train, sample, channels))).Order()
            .ShouldBe(from c in Enumerable.Range(0, 3) from i in Enumerable.Range(0, 4) select (c, (10 * c) + i)); // WriteClasses' greys
    }

    [Fact]
    public void Run_KeepsThePixelsOfAPictureThatHasTheSizeAlready()
    {
        var size = new PictureSize(16, 16);
        var colours = new byte[16 * ((3 * 16) + 1)];
        for (var i = 0; i < colours.Length; i++)
            colours[i] = i % 49 == 0 ? (byte)0 : (byte)(i * 31);
        WriteBoth(Png.Of(size, depth: 8, colours: 2, colours));

        Run(side: 16, channels: 3);

        var train = RawShards.Open(_folder.Root, Packed, classes: 1, new Decoding(3)).Train;
        Values(train, 0).ShouldBe(colours.Where((_, i) => i % 49 != 0));
    }

    [Fact]
    public void Run_KeepsTheMiddleOfALongPicture()
    {
        WriteBoth(Png.Of(new PictureSize(10, 30), interlaced: false, (_, x) => (byte)(x is >= 10 and < 20 ? 200 : 0)));

        Run(side: 10, channels: 1);

        var train = RawShards.Open(_folder.Root, Packed, classes: 1, new Decoding(1)).Train;
        Values(train, 0).ShouldAllBe(value => value == 200);
    }

    [Fact]
    public void Run_CutsShardsAtTheirSize()
    {
        _folder.WriteClasses("train", classes: 1, pictures: 5);
        _folder.WriteClasses("val", classes: 1, pictures: 1);

        Run(side: 512, channels: 1, shardMib: 1); // four in a MiB

        Directory.GetFiles(Output).Select(Path.GetFileName).Order()
            .ShouldBe(["train-00000.safetensors", "train-00001.safetensors", "val-00000.safetensors"]);
        RawShards.Open(_folder.Root, Packed, classes: 1, new Decoding(1)).Train.Count.ShouldBe(5);
        _output.ToString().ShouldContain("train-00001.safetensors, 2 of 2: 1 pictures");
    }

    [Fact]
    public void Run_OverBrokenPictures_NamesThemAndLeavesNothing()
    {
        _folder.WriteClasses("train", classes: 2, pictures: 2);
        _folder.WriteClasses("val", classes: 2, pictures: 1);
        _folder.Write("train/class-1/0.png", [1, 2, 3]);
        _folder.Write("val/class-0/0.png", []);

        var fault = Should.Throw<DataSetException>(() => Run(side: 8, channels: 3)).Message;

        fault.ShouldContain("2 pictures cannot be read, and nothing has been written");
        fault.ShouldContain(_folder.Path("train/class-1/0.png"));
        fault.ShouldContain(_folder.Path("val/class-0/0.png"));
        Directory.GetDirectories(_folder.Root).ShouldBe([Path.Combine(_folder.Root, PictureFolder.Name)]);
    }

    [Theory]
    [InlineData("packed")]
    [InlineData("packed.part")]
    public void Run_OverWhatIsThereAlready_LeavesIt(string there)
    {
        _folder.WriteClasses("train", classes: 1, pictures: 1);
        _folder.WriteClasses("val", classes: 1, pictures: 1);
        Directory.CreateDirectory(Path.Combine(_folder.Root, there));

        Should.Throw<IOException>(() => Run(side: 8, channels: 3)).Message.ShouldContain($"{there} is there already");

        Directory.Exists(Path.Combine(_folder.Root, there)).ShouldBeTrue();
    }

    [Fact]
    public void Parse_FillsInWhatIsNotSaid()
    {
        PackOrder.Parse(["/a/photos", "/b/packed/"]).ShouldBe(new PackOrder("/a/photos", "/b/packed", 256, 1024, 3));
        PackOrder.Parse(["--size", "128", "/a", "--grey", "/b", "--shard-mib", "5"]).ShouldBe(new PackOrder("/a", "/b", 128, 5, 1));
    }

    [Theory]
    [InlineData("--size is 7 but must be a whole number from 8 to 4096", "/a", "/b", "--size", "7")]
    [InlineData("--size is missing but must be", "/a", "/b", "--size")]
    [InlineData("--shard-mib is many but must be", "/a", "/b", "--shard-mib", "many")]
    [InlineData("--sice is no option of pack", "/a", "/b", "--sice", "7")]
    [InlineData("not 1 paths", "/a")]
    public void Parse_OfWhatCannotBe_SaysWhatMay(string says, params string[] arguments) =>
        Should.Throw<FormatException>(() => PackOrder.Parse(arguments)).Message.ShouldContain(says);

    private string Output => Path.Combine(_folder.Root, Packed);

    private void Run(int side, int channels, int shardMib = PackOrder.DefaultShardMib) =>
        new PicturePacker(new PackOrder(_folder.Path("").TrimEnd('/'), Output, side, shardMib, channels), _output).Run();

    private void WriteBoth(byte[] picture)
    {
        _folder.Write("train/a/0.png", picture);
        _folder.Write("val/a/0.png", picture);
    }

    private static int Level(ImagePart part, int sample, int channels)
    {
        var values = Values(part, sample);
        values.Length.ShouldBe(8 * 8 * channels);
        values.Distinct().Count().ShouldBe(1);
        return values[0];
    }

    private static byte[] Values(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        part.Load(sample, buffers, _ => 1);
        return buffers.Picture.Values.ToArray();
    }
}
