using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;

namespace Cluster.Worker.Tests.Data.Indexing;

/// <summary>When an index is believed, when it is not, and what it may take.</summary>
public sealed class DataIndexTests : IDisposable
{
    private const string Layout = DataCatalog.ImageFolder;

    // The folder itself, train, val, and three classes in both.
    private const int Folders = 9;

    private readonly IndexedFolder _data = new();

    public DataIndexTests()
    {
        foreach (var part in new[] { "train", "val" })
            _data.Pictures.WriteClasses(part, classes: 3, pictures: 4);
    }

    private string Fresh => _data.Read(Layout, byIndex: false).Seen;

    public void Dispose() => _data.Dispose();

    [Fact]
    public void ClassThatChanged_IsReadAnew_AndNothingElse()
    {
        _data.Read(Layout).ShouldBe((Fresh, Folders));
        _data.Read(Layout).ShouldBe((Fresh, 0));
        _data.PassTick();
        File.Delete(_data.Pictures.Path("train/class-1/2.png"));

        _data.Read(Layout).ShouldBe((Fresh, 1));
        _data.Read(Layout).ShouldBe((Fresh, 0));
        _data.Logs.All[^2].ShouldBe("Read the data set's listing: 8 folders and shards by this node's index, 1 anew");
    }

    [Fact]
    public void FolderThatChangedShortlyBefore_IsNotBelievedToBeUnchanged()
    {
        var last = LastChange();
        _data.Time = new FixedTime(last + _data.Options.SettleTime);
        _data.Read(Layout).ShouldBe((Fresh, Folders));
        _data.Read(Layout).Fresh.ShouldBeInRange(1, Folders);

        _data.Time = new FixedTime(last + _data.Options.SettleTime + TimeSpan.FromSeconds(1));
        _data.Read(Layout);
        _data.Read(Layout).ShouldBe((Fresh, 0));
    }

    [Fact]
    public void FolderThatChangedInTheFuture_IsNotBelievedToBeUnchanged()
    {
        _data.Time = new FixedTime(LastChange() - TimeSpan.FromDays(1));

        _data.Read(Layout).ShouldBe((Fresh, Folders));
        _data.Read(Layout).ShouldBe((Fresh, Folders));
    }

    [Fact]
    public void OtherFolderAtTheSamePath_IsReadAnew()
    {
        _data.Read(Layout);
        _data.Pictures.Run("train", "cp -a class-1 ../aside && rm ../aside/0.png && touch -r class-1 ../aside");
        _data.Pictures.Run("train", "mv -T class-1 ../gone && mv -T ../aside class-1");

        _data.Read(Layout).Seen.ShouldBe(Fresh);
    }

    [Theory]
    [InlineData("truncate -s 1 $F")]
    [InlineData("truncate -s -1 $F")]
    [InlineData("truncate -s -100 $F")]
    [InlineData("truncate -s +1 $F")]
    [InlineData("truncate -s 0 $F")]
    [InlineData("truncate -s 100G $F")]
    [InlineData("head -c 100000 /dev/urandom > $F")]
    [InlineData("printf CLDATIX1 > $F; head -c 100000 /dev/urandom >> $F")]
    [InlineData("printf CLDATIX1 > $F; head -c 100000 /dev/zero >> $F")]
    [InlineData("printf CLDATIX9 | dd of=$F conv=notrunc status=none")]
    [InlineData("printf xxxxxxxx | dd of=$F conv=notrunc status=none bs=1 seek=$(($(stat -c %s $F) - 8))")]
    [InlineData("printf xxxxxxxx | dd of=$F conv=notrunc status=none bs=1 seek=$(($(stat -c %s $F) - 60))")]
    [InlineData("printf xxxxxxxx | dd of=$F conv=notrunc status=none bs=1 seek=$(($(stat -c %s $F) - 200))")]
    public void DamagedIndex_IsBuiltAnew(string damage)
    {
        _data.Read(Layout);
        _data.Pictures.Run("", $"F={_data.Files.Index}; {damage}");

        DataIndexFile.Open(_data.Files.Index).ShouldBeNull();
        _data.Read(Layout).ShouldBe((Fresh, Folders));
        _data.Read(Layout).ShouldBe((Fresh, 0));
    }

    [Fact]
    public void DamagedRecord_IsReadAnew_AndNothingElse()
    {
        _data.Read(Layout);
        _data.Pictures.Run("", $"printf x | dd of={_data.Files.Index} conv=notrunc status=none bs=1 seek=20");

        _data.Read(Layout).ShouldBe((Fresh, 1));
        _data.Read(Layout).ShouldBe((Fresh, 0));
    }

    [Fact]
    public void DamagedIndex_IsRefusedWithoutBeingHeldInMemory()
    {
        const long bytes = 64 << 20;
        Directory.CreateDirectory(_data.Folder);
        using (var file = new BinaryWriter(File.Create(_data.Files.Index)))
        {
            file.Write(DataIndexFile.Magic);
            file.BaseStream.SetLength(bytes - DataIndexFile.FooterBytes);
            file.Seek(0, SeekOrigin.End);
            file.Write((long)DataIndexFile.Magic.Length);
            file.Write(bytes - DataIndexFile.FooterBytes - DataIndexFile.Magic.Length);
            file.Write(new byte[Checksum.Bytes]);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        DataIndexFile.Open(_data.Files.Index).ShouldBeNull();
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1 << 20);
    }

    [Fact]
    public void FolderThatCannotBeWrittenTo_CostsTheIndexAndNothingElse_AndIsToldOnce()
    {
        File.WriteAllText(_data.Folder, "no folder");

        _data.Read(Layout).ShouldBe((Fresh, Folders));

        _data.Logs.Warnings.ShouldHaveSingleItem().ShouldStartWith("No index of the data set can be kept (");
        _data.Logs.Warnings[0].ShouldEndWith("): every rank lists it for itself, now and each time");
    }

    [Fact]
    public void FullDisk_CostsTheIndexAndNothingElse_AndIsToldOnce()
    {
        Directory.CreateDirectory(_data.Folder);
        File.CreateSymbolicLink(_data.Files.Aside, "/dev/full");

        _data.Read(Layout).ShouldBe((Fresh, Folders));

        _data.Logs.Warnings.ShouldHaveSingleItem().ShouldStartWith("No index of the data set can be kept (");
        File.Exists(_data.Files.Index).ShouldBeFalse();
    }

    [Fact]
    public void ListingLargerThanItMayBe_IsNotKept_UntilItMay()
    {
        _data.Options.MaxBytes = 1000;
        _data.Read(Layout).ShouldBe((Fresh, Folders));
        _data.Read(Layout).ShouldBe((Fresh, Folders));
        _data.Logs.Warnings.ShouldBe(Enumerable.Repeat(
            "No index of the data set can be kept (the listing is larger than DataIndex__MaxBytes; raise it): "
            + "every rank lists it for itself, now and each time", 2));

        _data.Options.MaxBytes = 10_000;
        _data.Read(Layout);
        _data.Read(Layout).ShouldBe((Fresh, 0));
        new FileInfo(_data.Files.Index).Length.ShouldBeLessThanOrEqualTo(_data.Options.MaxBytes);
    }

    [Fact]
    public void DataSetsThatAreTooMany_LoseTheOneThatWasUsedLeastRecently()
    {
        _data.Options.MaxDataSets = 2;
        ReadOne("a", usedAt: DateTime.UnixEpoch.AddDays(2));
        ReadOne("b", usedAt: DateTime.UnixEpoch.AddDays(1));
        _data.Open(dataSet: "b").Dispose(); // uses it
        File.WriteAllText(_data.FilesOf("left").Aside, "of a rank that was killed");
        File.SetLastWriteTimeUtc(_data.FilesOf("left").Aside, DateTime.UnixEpoch);

        ReadOne("c", usedAt: DateTime.UtcNow);

        Directory.GetFiles(_data.Folder).Order().ShouldBe(
            ((string[])[.. FilesOf("b"), .. FilesOf("c")]).Order());

        string[] FilesOf(string dataSet) => [_data.FilesOf(dataSet).Index, _data.FilesOf(dataSet).Lock];
    }

    [Fact]
    public void DataSetsThatTakeTooMuch_LoseTheOneThatWasUsedLeastRecently()
    {
        ReadOne("a", usedAt: DateTime.UnixEpoch);
        ReadOne("b", usedAt: DateTime.UnixEpoch.AddDays(1));
        _data.Options.MaxBytes = 2 * new FileInfo(_data.FilesOf("a").Index).Length;

        ReadOne("c", usedAt: DateTime.UtcNow);

        ((string[])["a", "b", "c"]).Where(dataSet => File.Exists(_data.FilesOf(dataSet).Index)).ShouldBe(["b", "c"]);
    }

    [Fact]
    public void ShardWithAClassThatTheJobHasNot_IsRefusedByTheIndexToo()
    {
        _data.WriteShard("train-0.tar", samples: 3);
        _data.WriteShard("val-0.tar", samples: 3);
        _data.Read(DataCatalog.TarShards).Fresh.ShouldBe(3);

        using var index = _data.Open();
        var path = _data.Pictures.Path("train-0.tar");
        ShardContents.Read(path, classes: 3, index).Pictures.ShouldBe(3);
        Should.Throw<DataSetException>(() => ShardContents.Read(path, classes: 2, index))
            .Message.ShouldContain("2.cls: class '2'; data.classes is 2");
    }

    [Fact]
    public void FileReplacedInItsPlace_ChangesTheFingerprint_ThoughNoFolderChanged()
    {
        var before = Fingerprint(_data.Open());
        Fingerprint(_data.Open()).ShouldBe(before);
        File.AppendAllText(_data.Pictures.Path("train/class-1/2.png"), "more");

        using var index = _data.Open();
        Fingerprint(index).ShouldNotBe(before);
        index.Fresh.ShouldBe(0);
    }

    private long[] Fingerprint(DataIndex index)
    {
        var (train, validation, test) = ImageFolder.Open(_data.Pictures.Root, PictureFolder.Name, 3, new Decoding(3), null, index);
        index.Complete();
        DataCatalog.TryGet("mnist", out var definition).ShouldBeTrue();
        var data = new ImageDataSet(definition!, ChannelNormalization.Uniform(3, 0, 1), train, test, validation);
        var values = new DataFingerprint(data, null, index).Values;
        values.ShouldBe(new DataFingerprint(data).Values);
        index.Dispose();
        return values;
    }

    private void ReadOne(string dataSet, DateTime usedAt)
    {
        using (var index = _data.Open(dataSet: dataSet))
        {
            new FolderListing(_data.Pictures.Root, index).Read(_data.Pictures.Path("train"));
            index.Complete();
        }

        foreach (var file in new[] { _data.FilesOf(dataSet).Index, _data.FilesOf(dataSet).Lock })
            File.SetLastWriteTimeUtc(file, usedAt);
    }

    private DateTimeOffset LastChange() => DateTimeOffset.FromUnixTimeSeconds(
        Directory.GetDirectories(_data.Pictures.Path(""), "*", SearchOption.AllDirectories).Append(_data.Pictures.Path(""))
            .Max(folder => FileCalls.Stamp(folder)!.Value.Changed.Seconds));
}
