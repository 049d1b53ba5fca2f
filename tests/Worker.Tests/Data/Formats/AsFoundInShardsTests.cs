using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Formats;

/// <summary>Tar shards as people and archivers leave them.</summary>
public sealed class AsFoundInShardsTests : IDisposable
{
    private const int BlockBytes = 512;

    private static readonly byte[] APicture = Png.Of(new PictureSize(3, 4), 5);

    private readonly PictureFolder _folder = new();
    private readonly DataNotes _notes = new();

    public AsFoundInShardsTests()
    {
        _folder.WriteTar("train-0.tar", [.. Sample("0", 0), .. Sample("1", 1)]);
        _folder.WriteTar("val-0.tar", [.. Sample("0", 0), .. Sample("1", 1)]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void EntriesThatArePassedOver_AreCountedAndToldWithAnExample()
    {
        _folder.WriteTar("train-0.tar",
        [
            .. Sample("0", 0), .. Sample("1", 1), .. Sample("img.v2.0001", 0), .. Sample("img.v2.0002", 1), ("0.json", [1]),
            ("1.seg.png", APicture), ("README", [1]), (".DS_Store", [1]), ("__MACOSX/._0.png", [1]), ("./._1.png", [1]),
        ]);

        Open().Train.Count.ShouldBe(2);

        _notes.Told.Count.ShouldBe(2);
        _notes.Told[0].ShouldStartWith(
            $"{_folder.Path("train-0.tar")}: 5 files (.cls 2, .png 2, no ending 1) passed over, such as img.v2.0001.png, "
                + "since no sample has their key; "
                + "a sample is a picture KEY.jpg, KEY.jpeg or KEY.png and its class KEY.cls, "
                + "and a key ends at the first dot of a file's name");
        _notes.Told[1].ShouldBe($"{_folder.Path("train-0.tar")}: 2 files (.json 1, .png 1) beside samples not used, such as 0.json");
    }

    [Theory]
    [InlineData("a/img.v2/0001", 1)] // a folder's dots are not the key's
    [InlineData("img.v2.0001", 0)]
    [InlineData(".hidden/0001", 0)]
    public void Key_EndsAtTheFirstDotOfTheName_AsWebDatasetHasIt(string name, int samples)
    {
        _folder.WriteTar("train-1.tar", [.. Sample("x", 0), .. Sample(name, 1)]);

        Open().Train.Count.ShouldBe(3 + samples);
    }

    [Fact]
    public void Extension_InCapitals_IsRead()
    {
        _folder.WriteTar("train-1.tar", ("A.PNG", APicture), ("A.CLS", [.. "1"u8]));

        Open().Train.Count.ShouldBe(3);
    }

    [Theory]
    [InlineData("train")]
    [InlineData("val")]
    [InlineData("test")]
    public void PartWithoutSamples_IsToldAsThat(string part)
    {
        _folder.WriteTar($"{part}-0.tar", [.. Sample("img.v2.0001", 0), .. Sample("img.v2.0002", 1)]);

        Refused().ShouldStartWith(
            $"{_folder.Path($"{part}-0.tar")} has no samples: 4 files (.cls 2, .png 2) passed over, such as img.v2.0001.png; a sample is");
    }

    [Fact]
    public void ClassOfWhichNothingCanBeRead_InAShard_IsRefused()
    {
        _folder.WriteTar("train-0.tar", [.. Sample("0", 0), .. Sample("img.v2.0001", 1)]);

        Refused().ShouldStartWith(
            $"{_folder.Path("train-0.tar")} has no sample of 1 of 2 classes, such as 1, but 2 files (.cls 1, .png 1) passed over");
    }

    [Fact]
    public void ClassThatNoSampleHas_IsTold()
    {
        _folder.WriteTar("val-0.tar", Sample("0", 0));

        Open();

        _notes.Told.ShouldHaveSingleItem().ShouldBe($"{_folder.Path("val-0.tar")} has no sample of 1 of 2 classes, such as 1");
    }

    [Fact]
    public void PictureOfAnotherKind_IsNamedBesideItsClass()
    {
        _folder.WriteTar("train-0.tar", [.. Sample("0", 0), ("1.webp", APicture), ("1.cls", [.. "1"u8])]);

        Refused().ShouldBe($"{_folder.Path("train-0.tar")} has 1.cls without a picture; beside it is 1.webp, which is not read");
    }

    [Theory]
    [InlineData(2)] // as tar -A never does, but cat
    [InlineData(1)]
    [InlineData(40)]
    public void TarsPutOneBehindTheOther_LoseNothing(int zeroBlocks)
    {
        var first = WithoutEnd("train-0.tar");
        _folder.WriteTar("second.tar", [.. Sample("2", 0, level: 77), .. Sample("3", 1, level: 88)]);
        _folder.Write("train-0.tar", [.. first, .. new byte[zeroBlocks * BlockBytes], .. File.ReadAllBytes(_folder.Path("second.tar"))]);
        File.Delete(_folder.Path("second.tar"));

        var train = Open().Train;

        Enumerable.Range(0, train.Count).Select(sample => Level(train, sample)).Order().ShouldBe([5, 5, 77, 88]);
        _notes.Told.ShouldBeEmpty();
    }

    [Fact]
    public void TarWithOtherBytesBehindItsEnd_IsRefused()
    {
        _folder.Write("train-0.tar", [.. File.ReadAllBytes(_folder.Path("train-0.tar")), .. Enumerable.Repeat((byte)'x', BlockBytes)]);

        Refused().ShouldContain("train-0.tar");
    }

    [Fact]
    public void TarWithABlockThatIsNoEntry_IsRefused()
    {
        var noChecksum = new byte[BlockBytes];
        noChecksum[0] = (byte)'x';
        var end = WithoutEnd("train-0.tar").Length;
        _folder.Write("train-0.tar", [.. WithoutEnd("train-0.tar"), .. noChecksum, .. File.ReadAllBytes(_folder.Path("train-0.tar"))]);

        Refused().ShouldBe($"{_folder.Path("train-0.tar")}, byte {end}: neither an entry of a tar file nor its end; write the shard anew");
    }

    [Fact]
    public void TarThatIsCut_IsRefusedOrTold()
    {
        var whole = WithoutEnd("train-0.tar");

        _folder.Write("train-0.tar", whole); // between two entries
        Open();
        _notes.Told.ShouldHaveSingleItem().ShouldBe($"{_folder.Path("train-0.tar")} has no end mark; if it was cut short it lacks samples");

        _folder.Write("train-0.tar", whole[..^BlockBytes]); // within one
        Refused().ShouldContain("train-0.tar");

        _folder.Write("train-0.tar", []);
        Refused().ShouldBe($"{_folder.Path("train-0.tar")} is empty; copy it anew");
    }

    [Theory]
    [InlineData("gzip", "gzip -c")]
    [InlineData("xz", "xz -c")]
    [InlineData("bzip2", "bzip2 -c")]
    public void CompressedTar_IsCalledByItsName(string name, string command)
    {
        _folder.Run("", $"{command} train-0.tar > packed && mv packed train-0.tar");

        Refused().ShouldBe($"{_folder.Path("train-0.tar")} is compressed with {name}; "
            + "pictures are read from their places in a plain tar file: unpack it to one");
    }

    [Theory]
    [InlineData("zstd", new byte[] { 0x28, 0xB5, 0x2F, 0xFD, 0, 0 })]
    [InlineData("zip", new byte[] { (byte)'P', (byte)'K', 3, 4 })]
    [InlineData("lz4", new byte[] { 4, 0x22, 0x4D, 0x18 })]
    public void CompressedTar_OfOtherKinds_IsCalledByItsName(string name, byte[] begin)
    {
        _folder.Write("train-0.tar", begin);

        Refused().ShouldContain($"train-0.tar is compressed with {name}");
    }

    [Fact]
    public void CompressedTar_BesideOthers_IsRefusedUnlessItIsUnpackedToo()
    {
        _folder.Write("train-0.tar.gz", [0x1F, 0x8B]);
        _folder.Write("train_1.tar", [1]);
        Open();
        _notes.Told.ShouldHaveSingleItem().ShouldBe(
            $"{_folder.Path("").TrimEnd('/')}: 2 files (.gz 1, .tar 1) passed over, such as train-0.tar.gz; shards are called train-*.tar, "
                + "val-*.tar and test-*.tar");

        _folder.Write("train-1.tgz", [0x1F, 0x8B]);
        Refused().ShouldBe(
            $"{_folder.Path("train-1.tgz")} is compressed, and pictures are read from their places in plain tar files; "
                + "unpack it to train-*.tar, or remove it");
    }

    [Theory]
    [InlineData("ln -s gone.tar train-1.tar", "train-1.tar is a link to gone.tar, which does not exist")]
    [InlineData("mkfifo train-1.tar", "train-1.tar is a FIFO, not a file")]
    [InlineData("touch train-$'caf\\xe9'.tar", "train-caf\\xE9.tar has a name that is not UTF-8; rename it")]
    public void ShardThatCannotBeOpened_IsRefused(string command, string says)
    {
        _folder.Run("", command);

        Refused().ShouldBe(_folder.Path(says));
    }

    [Fact]
    public void LinksInATar_AreCountedAndTold()
    {
        _folder.Run("",
            "cp train-0.tar t.tar && mkdir x && (cd x && ln -s 0.png 9.png && tar -rf ../t.tar 9.png) && mv t.tar train-0.tar && rm -r x");

        Open().Train.Count.ShouldBe(2);

        _notes.Told.ShouldHaveSingleItem().ShouldContain("passed over, such as 9.png (SymbolicLink), since no sample has their key");
    }

    [Fact]
    public void TarWithAKindOfEntryThatIsNotRead_IsRefused()
    {
        _folder.Run("", "truncate -s 1M s && tar --format=gnu -Scf train-0.tar s && rm s");

        Refused().ShouldBe($"{_folder.Path("train-0.tar")} cannot be read as a tar file: Entry type 'SparseFile' not supported.");
    }

    [Theory]
    [InlineData("mkdir d && tar -rf train-0.tar d && rmdir d")]
    [InlineData("mkdir d && tar -cf train-1.tar d && rmdir d && rm train-0.tar && mv train-1.tar train-0.tar")]
    [InlineData("tar --format=pax --pax-option=comment=hello -cf train-0.tar val-0.tar")]
    [InlineData("truncate -s 1M s && tar --format=pax -Scf train-0.tar s val-0.tar && rm s")]
    [InlineData("ln val-0.tar h && tar --format=ustar -cf train-0.tar val-0.tar h && rm h")]
    [InlineData("tar --format=gnu -rf train-0.tar val-0.tar")]
    [InlineData("tar --format=v7 -rf train-0.tar val-0.tar")]
    public void TarOfAnyFormat_IsReadToItsEnd(string command)
    {
        _folder.Run("", command);

        using var file = File.OpenRead(_folder.Path("train-0.tar"));
        TarDirectory.Read(file, _ => { }).ShouldBeTrue();
    }

    [Fact]
    public void TestPartWithoutLabels_InShards_IsLeftOutAndTold()
    {
        _folder.WriteTar("test-0.tar", ("0.png", APicture), ("1.png", APicture));

        Open().Test.Count.ShouldBe(0);

        _notes.Told.ShouldHaveSingleItem()
            .ShouldBe($"{_folder.Path("test-0.tar")} has pictures without classes (KEY.cls), so there are no test figures");
    }

    [Fact]
    public void TestPartWithSomeLabels_InShards_IsRefused()
    {
        _folder.WriteTar("test-0.tar", [.. Sample("0", 0), ("1.png", APicture)]);

        Refused().ShouldContain("test-0.tar has a picture 1 without 1.cls");
    }

    private static (string Name, byte[] Content)[] Sample(string key, int label, byte level = 5) =>
        [($"{key}.png", Png.Of(new PictureSize(3, 4), level)), ($"{key}.cls", [(byte)('0' + label)])];

    private byte[] WithoutEnd(string path)
    {
        var file = File.ReadAllBytes(_folder.Path(path)).AsSpan();
        while (file[^BlockBytes..].IndexOfAnyExcept((byte)0) < 0)
            file = file[..^BlockBytes];
        return file.ToArray();
    }

    private string Refused() => Should.Throw<DataSetException>(() => Open()).Message;

    private (ImagePart Train, ImagePart Validation, ImagePart Test) Open() =>
        TarShards.Open(_folder.Root, PictureFolder.Name, classes: 2, new Decoding(3), _notes);

    private static int Level(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        part.Load(sample, buffers, _ => 1);
        return buffers.Picture.Values[0];
    }
}
