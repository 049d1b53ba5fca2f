using System.Buffers.Binary;
using System.Text;
using Cluster.Contracts.Safetensors;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Devices;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Data.Formats;

public sealed class RawShardsTests : IDisposable
{
    private const int Height = 3, Width = 4, PictureBytes = Height * Width * 3;

    private readonly PictureFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_ReadsEveryPictureWithItsClassOverAllShards()
    {
        _folder.Write("train-000.safetensors", Shard(300, 7, 0));
        _folder.Write("train-001.safetensors", Shard());
        _folder.Write("train-002.safetensors", Shard(9));
        _folder.Write("val-000.safetensors", Shard(0));

        var (train, validation, test) = Open(classes: 1000);

        (train.Count, validation.Count, test.Count).ShouldBe((4, 1, 0));
        Enumerable.Range(0, 4).Select(sample => (train.Label(sample), train.Identity(sample).Name)).Order().ShouldBe(
            [
                (0, "train-000.safetensors/2"), (7, "train-000.safetensors/1"),
                (9, "train-002.safetensors/0"), (300, "train-000.safetensors/0"),
            ]);
        for (var sample = 0; sample < 4; sample++)
            Load(train, sample).ShouldBe(Picture(train.Label(sample)));
        DataSets.Find(_folder.Root).ShouldContain($"raw-shards/{PictureFolder.Name}");
    }

    [Fact]
    public void Open_MixesPicturesThatComeSortedByClass()
    {
        WriteBoth(Shard([.. Enumerable.Repeat(0, 100), .. Enumerable.Repeat(1, 100)]));

        var train = Open(classes: 2).Train;

        Enumerable.Range(0, 20).Select(train.Label).ShouldBeSubsetOf([0, 1]);
        Enumerable.Range(0, 20).Select(train.Label).Distinct().Count().ShouldBe(2);
        Enumerable.Range(0, 200).Select(sample => train.Identity(sample).Name).Distinct().Count().ShouldBe(200);
    }

    [Theory]
    [InlineData(12)]
    [InlineData(-1)]
    public void Open_OfAWrongClass_NamesFileAndPicture(int label) =>
        Refused(Shard(0, label)).ShouldContain(
            $"train-0.safetensors, picture 1: class {label}; data.classes is 12, so it must be a number from 0 to 11");

    [Theory]
    [InlineData("F32 1,1,1,1 0,4", "I64 1 4,12", 12, "has no images of U8 (N, H, W, C)")]
    [InlineData("U8 1,1,3 0,3", "I64 1 3,11", 11, "has no images of U8 (N, H, W, C)")]
    [InlineData("U8 1,1,1,3 0,3", "I32 1 3,7", 7, "has no labels of I64 (N)")]
    [InlineData("U8 1,1,1,3 0,3", "I64 0 3,3", 3, "has 1 images and 0 labels")]
    [InlineData("U8 1,1,1,2 0,2", "I64 1 2,10", 10, "have 2 channels")]
    [InlineData("U8 0,0,5,3 0,0", "I64 0 0,0", 0, "have 5×0 pixels")]
    [InlineData("U8 0,900000,900000,3 0,0", "I64 0 0,0", 0, "have 900000×900000 pixels")]
    [InlineData("U8 1,1,1,3 0,3", "I64 1 3,11", 10, "describes 11 bytes of data and the file has 10")]
    [InlineData("U8 1,1,1,3 0,3", "I64 1 3,11", 12, "describes 11 bytes of data and the file has 12")]
    public void Open_OfWhatIsNoShard_SaysWhy(string images, string labels, int dataBytes, string says) =>
        Refused(WithHeader(Header(images, labels), dataBytes)).ShouldContain(says);

    [Fact]
    public void Open_OfAFileOfAnotherKind_NamesIt() =>
        Refused([.. "PK"u8, 3, 4, .. new byte[60]]).ShouldContain("train-0.safetensors is no shard of raw pictures: it is a zip archive");

    [Fact]
    public void Open_OfALongHeader_RefusesItBeforeItIsRead()
    {
        var megabytes = new byte[3 << 20];
        BinaryPrimitives.WriteInt64LittleEndian(megabytes, megabytes.Length - 8);

        Refused(megabytes).ShouldContain("its header has 3145720 bytes; at most 1048576 are read");
    }

    /// <summary>A file full of holes costs its writer nothing.</summary>
    [Fact]
    public void Open_OfMorePicturesThanAPartMayHave_ReservesNothingForThem()
    {
        WriteBoth(Shard(0));
        var many = 2L * RawShards.MaxPictures;
        var begin = WithHeader(Header($"U8 {many},1,1,3 {8 * many},{11 * many}", $"I64 {many} 0,{8 * many}"), 0);
        using (var file = File.Create(_folder.Path("train-1.safetensors")))
        {
            file.Write(begin);
            file.SetLength(begin.Length + (11 * many));
        }

        var before = GC.GetTotalAllocatedBytes();
        Should.Throw<DataSetException>(() => Open(classes: 12)).Message
            .ShouldContain($"the part has more than {RawShards.MaxPictures} pictures");
        (GC.GetTotalAllocatedBytes() - before).ShouldBeLessThan(many); // other tests run meanwhile
    }

    [Fact]
    public void Open_OfPicturesThatAreNotAsTheJobSays_NamesTheSetting()
    {
        WriteBoth(Shard(0));

        Should.Throw<JobMisconfiguredException>(() => Open(classes: 12, new Decoding(Channels: 1)))
            .Message.ShouldBe($"data.channels is 1 but {_folder.Path("train-0.safetensors")} has pictures of 3; make them equal");
        Should.Throw<JobMisconfiguredException>(() => Open(classes: 12, new Decoding(Channels: 3, MaxPixels: 11)))
            .Message.ShouldContain($"data.maxImagePixels is 11 but {_folder.Path("train-0.safetensors")} has pictures of 4×3; raise it");
    }

    [Fact]
    public void Open_WithoutAPart_SaysHowToMakeIt()
    {
        _folder.Write("train-0.safetensors", Shard(0));

        Should.Throw<DataSetException>(() => Open(classes: 12)).Message
            .ShouldContain("has no train-*.safetensors and val-*.safetensors; make both");
        Should.Throw<DataSetException>(() => RawShards.IsIn(_folder.Root, PictureFolder.Name));
    }

    [Fact]
    public void Open_TellsWhatIsPassedOver()
    {
        WriteBoth(Shard(0));
        _folder.Write("model.safetensors", [1]);
        var notes = new DataNotes();

        RawShards.Open(_folder.Root, PictureFolder.Name, 2, new Decoding(3), notes);

        notes.Told.ShouldContain(note => note.Contains("1 file (.safetensors 1) passed over, such as model.safetensors"));
        notes.Told.ShouldContain(note => note.Contains("train-*.safetensors has no picture of 1 of 2 classes, such as 1"));
    }

    [Fact]
    public void Load_OfAFileThatWasCutShortMeanwhile_IsABrokenPicture()
    {
        WriteBoth(Shard(0));
        var train = Open(classes: 12).Train;
        _folder.Run("", "truncate -s -1 train-0.safetensors");

        Should.Throw<BrokenPictureException>(() => Load(train, 0))
            .Message.ShouldBe($"{_folder.Path("train-0.safetensors")}, picture 0, ends after {PictureBytes - 1} of {PictureBytes} bytes");
    }

    [Fact]
    public void DamagedShards_AreRefusedOrRead()
    {
        WriteBoth(Shard(1, 0));
        var (whole, random, refusals) = (File.ReadAllBytes(_folder.Path("val-0.safetensors")), new Random(5), 0);
        for (var round = 0; round < 300; round++)
        {
            var damaged = whole.ToArray();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            _folder.Write("train-0.safetensors", round % 3 == 0 ? damaged[..random.Next(damaged.Length)] : damaged);
            try
            {
                var train = Open(classes: 2).Train;
                for (var sample = 0; sample < train.Count; sample++)
                    Load(train, sample);
            }
            catch (DataSetException refused)
            {
                refused.Message.ShouldContain("train-0.safetensors");
                refusals++;
            }
        }

        refusals.ShouldBeInRange(100, 299); // a hundred were cut short; of the others some have a wrong colour
    }

    private string Refused(byte[] train)
    {
        _folder.Write("val-0.safetensors", Shard(0));
        _folder.Write("train-0.safetensors", train);
        return Should.Throw<DataSetException>(() => Open(classes: 12)).Message;
    }

    private void WriteBoth(byte[] shard)
    {
        _folder.Write("train-0.safetensors", shard);
        _folder.Write("val-0.safetensors", shard);
    }

    private (ImagePart Train, ImagePart Validation, ImagePart Test) Open(int classes, Decoding? decoding = null) =>
        RawShards.Open(_folder.Root, PictureFolder.Name, classes, decoding ?? new Decoding(3));

    /// <summary>As Python's safetensors writes it: each class's picture has values of its own.</summary>
    private static byte[] Shard(params int[] labels)
    {
        var data = labels.SelectMany(label => BitConverter.GetBytes((long)label)).Concat(labels.SelectMany(Picture));
        var header = SafetensorsWriter.Header([("labels", "I64", [labels.Length]), ("images", "U8", [labels.Length, Height, Width, 3])]);
        return [.. header, .. data];
    }

    private static byte[] Picture(int label) => [.. Enumerable.Range(0, PictureBytes).Select(i => (byte)(label + (7 * i)))];

    /// <summary>Of words such as "U8 1,1,1,3 0,3": type, shape and offsets.</summary>
    private static string Header(string images, string labels)
    {
        return "{" + Tensor("images", images) + "," + Tensor("labels", labels) + "}";

        static string Tensor(string name, string words) => words.Split(' ') is [var dtype, var shape, var offsets]
            ? $$"""  "{{name}}":{"dtype":"{{dtype}}","shape":[{{shape}}],"data_offsets":[{{offsets}}]}"""
            : throw new ArgumentException("type, shape and offsets are needed", nameof(words));
    }

    private static byte[] WithHeader(string header, int dataBytes) =>
        [.. BitConverter.GetBytes((long)header.Length), .. Encoding.ASCII.GetBytes(header), .. new byte[dataBytes]];

    private static byte[] Load(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        part.Load(sample, buffers, _ => 1);
        return buffers.Picture.Values.ToArray();
    }
}
