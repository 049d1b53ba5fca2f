using Cluster.Worker.Agent;
using Cluster.Worker.Tests.Data.Formats;

namespace Cluster.Worker.Tests.Agent;

public sealed class DataScanTests : IDisposable
{
    private const string Photos = $"image-folder/{PictureFolder.Name}";
    private const string Shards = $"tar-shards/{PictureFolder.Name}";

    private readonly PictureFolder _folder = new();
    private readonly List<string> _unusable = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void WhatIsThereAtTheFirstLook_CountsAtOnce()
    {
        Copy();

        Scan().Look().ShouldBe(["synthetic", Photos]);
    }

    [Fact]
    public void WhatArrivesLater_CountsOnceItHasStayedTheSame()
    {
        var scan = Scan();
        scan.Look().ShouldBe(["synthetic"]);

        Copy();

        scan.Look().ShouldBe(["synthetic"]);
        scan.Look().ShouldBe(["synthetic", Photos]);
    }

    /// <summary>It looks like a data set before the copy is whole.</summary>
    [Fact]
    public void CopyThatIsUnderWay_DoesNotCount()
    {
        var scan = Scan();
        scan.Look();
        Copy();
        scan.Look();

        _folder.Write("train/class-0/another.png", [0]);
        scan.Look().ShouldBe(["synthetic"], "a picture has come");
        _folder.Write("val/class-2/0.png", [0]);
        scan.Look().ShouldBe(["synthetic"], "a class has come");
        scan.Look().ShouldBe(["synthetic", Photos]);
        _folder.Write("train/class-0/late.png", [0]);

        scan.Look().ShouldBe(["synthetic", Photos], "what is offered stays");
    }

    [Fact]
    public void ShardThatStillGrows_DoesNotCount()
    {
        var scan = Scan();
        scan.Look();
        _folder.Write("train-0.tar", [0]);
        _folder.Write("val-0.tar", [0]);
        scan.Look();

        _folder.Write("val-0.tar", [0, 0]);

        scan.Look().ShouldNotContain(Shards);
        scan.Look().ShouldContain(Shards);
    }

    [Theory]
    [InlineData(".")]
    [InlineData("val")]
    public void WhatGoes_WholeOrInPart_CountsNoMore_AndComesBackAsWhatArrives(string gone)
    {
        Copy();
        var scan = Scan();
        scan.Look().ShouldContain(Photos);

        Directory.Delete(_folder.Path(gone), recursive: true);
        scan.Look().ShouldBe(["synthetic"]);
        Copy();

        scan.Look().ShouldBe(["synthetic"]);
        scan.Look().ShouldContain(Photos);
    }

    [Fact]
    public void DataRoot_ThatIsMountedLater_IsFound()
    {
        var scan = new DataScan(Path.Combine(_folder.Root, "mounted-later"), _unusable.Add);
        scan.Look().ShouldBe(["synthetic"]);
        Copy();
        Directory.CreateDirectory(Path.Combine(_folder.Root, "mounted-later"));
        Directory.Move(_folder.Path("."), Path.Combine(_folder.Root, "mounted-later", "pets"));

        scan.Look();

        scan.Look().ShouldBe(["synthetic", "image-folder/pets"]);
    }

    [Fact]
    public void WhatCannotBeUsed_IsToldOnce_AndAgainWhenItHasChanged()
    {
        _folder.WriteClasses("train", 2, 1);
        var scan = Scan();

        scan.Look();
        scan.Look();
        _unusable.ShouldHaveSingleItem().ShouldContain("has no folders train and val");
        _folder.WriteClasses("val", 2, 1);
        scan.Look();
        Directory.Delete(_folder.Path("val"), recursive: true);
        scan.Look();

        _unusable.Count.ShouldBe(2);
    }

    private DataScan Scan() => new(_folder.Root, _unusable.Add);

    private void Copy()
    {
        _folder.WriteClasses("train", 2, 1);
        _folder.WriteClasses("val", 2, 1);
    }
}
