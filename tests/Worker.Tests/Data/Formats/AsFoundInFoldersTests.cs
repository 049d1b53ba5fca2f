using System.Runtime.InteropServices;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Formats;

/// <summary>Folders of pictures as people, systems and archivers leave them.</summary>
public sealed partial class AsFoundInFoldersTests : IDisposable
{
    private static readonly byte[] APicture = Png.Of(new PictureSize(3, 4), 5);

    private readonly PictureFolder _folder = new();
    private readonly DataNotes _notes = new();

    public AsFoundInFoldersTests()
    {
        _folder.WriteClasses("train", classes: 2, pictures: 3);
        _folder.WriteClasses("val", classes: 2, pictures: 1);
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("train", "", "class-1 is a class of which no picture can be read: the folder is empty")]
    [InlineData("train", ".gitkeep", "the folder is empty")]
    [InlineData("train", "a.webp b.webp c.txt", "3 files (.webp 2, .txt 1) passed over, such as a.webp")]
    [InlineData("train", "a b", "2 files (no ending 2) passed over, such as a")]
    [InlineData("train", "deeper/a.png", "1 folder passed over, such as deeper")]
    [InlineData("train", "a.jpg.part x/b.png", "1 file (.part 1) and 1 folder passed over")]
    [InlineData("val", "a.gif", "1 file (.gif 1) passed over, such as a.gif")]
    [InlineData("test", "a.gif", "1 file (.gif 1) passed over, such as a.gif")]
    public void ClassOfWhichNothingCanBeRead_WhateverThePart_IsRefused(string part, string files, string says)
    {
        _folder.WriteClasses(part, classes: 2, pictures: 1);
        Directory.Delete(_folder.Path($"{part}/class-1"), recursive: true);
        Directory.CreateDirectory(_folder.Path($"{part}/class-1"));
        foreach (var file in files.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            _folder.Write($"{part}/class-1/{file}", APicture);

        var refused = Should.Throw<DataSetException>(() => Open()).Message;

        refused.ShouldContain(says);
        refused.ShouldContain($"{part}/class-1 ");
        refused.ShouldEndWith("Put files there that end in .jpg, .jpeg or .png, in the folder itself, or remove the class");
    }

    [Fact]
    public void ClassOfWhichNothingCanBeRead_WhenItsLinksLeadNowhere_IsRefused()
    {
        Directory.Delete(_folder.Path("train/class-1"), recursive: true);
        Directory.CreateDirectory(_folder.Path("train/class-1"));
        File.CreateSymbolicLink(_folder.Path("train/class-1/a.png"), "../../.git/annex/objects/a.png");

        Should.Throw<DataSetException>(() => Open()).Message.ShouldContain(
            "1 broken, such as a.png, which is a link to ../../.git/annex/objects/a.png, which does not exist");
    }

    [Fact]
    public void PartOfAClassThatIsNotRead_IsTold()
    {
        _folder.Write("train/class-0/a.webp", APicture);
        _folder.Write("train/class-0/b.WEBP", APicture);
        _folder.Write("train/class-0/deeper/c.png", APicture);
        _folder.Write("val/stray.png", APicture);
        Directory.Delete(_folder.Path("val/class-1"), recursive: true);

        Open().Train.Count.ShouldBe(6);

        _notes.Told.ShouldBe(
        [
            $"{_folder.Path("train/class-0")}: 2 files (.webp 2) and 1 folder passed over, such as a.webp; "
                + "pictures end in .jpg, .jpeg or .png and lie in the class's folder itself",
            $"{_folder.Path("val")}: 1 file (.png 1) beside the class folders passed over, such as stray.png",
            $"{_folder.Path("val")} has no folder for 1 of 2 classes, such as class-1",
        ]);
    }

    [Theory]
    [InlineData(".DS_Store")]
    [InlineData("._0.png")]
    [InlineData(".ipynb_checkpoints/0-checkpoint.png")]
    [InlineData(".git/objects/a.png")]
    [InlineData("Thumbs.db")]
    [InlineData("thumbs.DB")]
    [InlineData("desktop.ini")]
    [InlineData("__MACOSX/._0.png")]
    [InlineData("@eaDir/0.png")]
    [InlineData("lost+found/0.png")]
    [InlineData("$RECYCLE.BIN/0.png")]
    [InlineData("System Volume Information/x")]
    [InlineData("Icon\r")]
    [InlineData("#recycle/0.png")]
    public void WhatSystemsAndArchiversLeave_IsNeitherClassNorPicture(string left)
    {
        foreach (var place in new[] { "", "train/", "val/", "train/class-0/", "val/class-1/" })
            _folder.Write(place + left, APicture);
        _folder.Write($"test/{left}", APicture);

        var (train, validation, test) = Open();

        (train.Count, validation.Count, test.Count).ShouldBe((6, 2, 0));
        _notes.Told.ShouldHaveSingleItem().ShouldContain("test has no class folders");
        DataSets.Find(_folder.Root).ShouldBe(["synthetic", $"image-folder/{PictureFolder.Name}"]);
    }

    [Fact]
    public void WhatSystemsAndArchiversLeave_InTheDataRoot_IsNotOffered()
    {
        foreach (var left in new[] { "__MACOSX", ".Trash-0", "@eaDir", "lost+found", "my-photos.tmp", "my-photos.part", "my-photos~" })
        {
            foreach (var part in new[] { "train", "val" })
                Directory.CreateDirectory(Path.Combine(_folder.Root, left, part, "class-0"));
        }

        var unusable = new List<string>();
        DataSets.Find(_folder.Root, unusable.Add).ShouldBe(["synthetic", $"image-folder/{PictureFolder.Name}"]);
        unusable.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("class-9.tmp/0.png", "1 folder beside the class folders passed over, such as class-9.tmp")]
    [InlineData("class-9.part/0.png", "1 folder beside the class folders passed over, such as class-9.part")]
    [InlineData("class-0/0.png.crdownload", "1 file (.crdownload 1) passed over, such as 0.png.crdownload")]
    [InlineData("class-0/0.png.tmp", "1 file (.tmp 1) passed over, such as 0.png.tmp")]
    public void CopyUnderWay_IsNeitherClassNorPictureAndIsTold(string file, string says)
    {
        _folder.Write($"train/{file}", APicture);

        Open().Train.Count.ShouldBe(6);

        _notes.Told.ShouldHaveSingleItem().ShouldContain(says);
    }

    [Theory]
    [InlineData("touch $'caf\\xe9.png'", "caf\\xE9.png has a name that is not UTF-8; rename it")]
    [InlineData("ln -s loop.png loop.png", "loop.png is a link that goes in a circle")]
    [InlineData("ln -s gone.jpg there.png", "there.png is a link to gone.jpg, which does not exist")]
    [InlineData("mkfifo pipe.png", "pipe.png is a FIFO, not a file")]
    [InlineData("mkfifo pipe && ln -s pipe linked.png", "linked.png is a FIFO, not a file")]
    [InlineData("python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('s.png')\"", "s.png is a socket, not a file")]
    [InlineData("printf x > $'new\\nline.png'", "new\\x0Aline.png is neither a JPEG nor a PNG file")]
    public void EntryThatCannotBeOpened_IsOneBrokenPicture(string command, string says)
    {
        _folder.Run("train/class-0", command);
        var train = Open().Train;
        using var buffers = new PictureBuffers();

        var faults = new List<string>();
        for (var sample = 0; sample < train.Count; sample++)
        {
            try
            {
                train.Load(sample, buffers, _ => 1);
            }
            catch (BrokenPictureException e)
            {
                faults.Add(e.Message);
            }
        }

        train.Count.ShouldBe(7);
        faults.ShouldHaveSingleItem().ShouldBe($"{_folder.Path("train/class-0")}/{says}");
        DataSets.Find(_folder.Root).ShouldContain($"image-folder/{PictureFolder.Name}");
    }

    [Theory]
    [InlineData(".", "ln -s loop loop", "loop is a link that goes in a circle")]
    [InlineData(".", "ln -s gone there", "there is a link to gone, which does not exist")]
    [InlineData(".", "ln -s . self", "self is a link that leads out of the data root")]
    [InlineData(".", "ln -s / out", "out is a link that leads out of the data root")]
    [InlineData(".", "ln -s /dev/shm other-mount", "other-mount is a link that leads out of the data root")]
    [InlineData(".", "ln -s /proc/self/root/etc etc", "etc is a link that leads out of the data root")]
    [InlineData(".", "mkdir $'caf\\xe9'", "caf\\xE9 has a name that is not UTF-8; rename it")]
    [InlineData("other", "mkdir train && ln -s val val", "other/val is a link that goes in a circle")]
    [InlineData(
        "other", "mkdir train val && ln -s gone train/class-0", "train/class-0 is a link to gone, which does not exist; it may be a class")]
    [InlineData("other", "mkdir train val train/$'caf\\xe9'", "train/caf\\xE9 has a name that is not UTF-8; rename it; it may be a class")]
    [InlineData("other", "mkdir train", "other has no folders train and val")]
    [InlineData("other", "touch train-0.tar && ln -s train-1.tar train-1.tar", "other/train-1.tar is a link that goes in a circle")]
    [InlineData("other", "touch train-0.tar.gz val-0.tar.gz", "other/train-0.tar.gz is compressed")]
    public void DataSetThatCannotBeUsed_IsToldAndNotOffered(string where, string command, string says)
    {
        Directory.CreateDirectory(Path.Combine(_folder.Root, where));
        _folder.Run($"../{where}", command);

        var unusable = new List<string>();
        DataSets.Find(_folder.Root, unusable.Add).ShouldBe(["synthetic", $"image-folder/{PictureFolder.Name}"]);

        unusable.ShouldHaveSingleItem().ShouldContain(says);
    }

    [Fact]
    public void FolderThatMayNotBeEntered_IsToldByAgentAndJob()
    {
        _folder.Run("train", "chmod 000 class-1");
        _folder.Run("..", $"chmod 755 {_folder.Root} && mkdir -m 000 closed");

        var unusable = new List<string>();
        AsNobody(() =>
        {
            DataSets.Find(_folder.Root, unusable.Add).ShouldContain($"image-folder/{PictureFolder.Name}");
            Should.Throw<DataSetException>(() => Open()).Message.ShouldBe(
                $"{_folder.Path("train/class-1")} cannot be listed: permission denied; "
                    + "it must be a folder that the agent's user may read and enter");
        });

        unusable.ShouldHaveSingleItem().ShouldContain("closed cannot be listed: permission denied");
    }

    [Theory]
    [InlineData("0.png 1.png", "test has no class folders")]
    [InlineData("", "test has no class folders")]
    [InlineData("images/0.png images/1.png", "test has a single folder, images, which is no class of the training part")]
    public void TestPartWithoutLabels_IsLeftOutAndTold(string files, string says)
    {
        Directory.CreateDirectory(_folder.Path("test"));
        foreach (var file in files.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            _folder.Write($"test/{file}", APicture);

        Open().Test.Count.ShouldBe(0);

        _notes.Told.ShouldHaveSingleItem().ShouldBe($"{_folder.Path(says)}, so its pictures have no labels: there are no test figures");
    }

    [Fact]
    public void TestPart_OfOneOfTheClasses_HasLabels()
    {
        _folder.Write("test/class-1/0.png", APicture);

        var test = Open().Test;

        (test.Count, test.Label(0)).ShouldBe((1, 1));
    }

    private (ImagePart Train, ImagePart Validation, ImagePart Test) Open() =>
        ImageFolder.Open(_folder.Root, PictureFolder.Name, classes: 2, new Decoding(3), _notes);

    /// <summary>Linux keeps the user that files are opened as for each thread.</summary>
    private static void AsNobody(Action action)
    {
        const uint nobody = 65534;
        Exception? fault = null;
        var thread = new Thread(() =>
        {
            setfsuid(nobody);
            try
            {
                action();
            }
            catch (Exception e)
            {
                fault = e;
            }
        });
        thread.Start();
        thread.Join();
        if (fault is not null)
            throw new InvalidOperationException(fault.Message, fault);
    }

    [LibraryImport("libc")]
    private static partial int setfsuid(uint user);
}
