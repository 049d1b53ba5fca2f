using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Indexing;

/// <summary>Whatever happens to a data set, a job sees by the index what it would see without.</summary>
public sealed class IndexAgainstFreshScanTests : IDisposable
{
    private const int Changes = 60;

    private readonly IndexedFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void FolderOfPictures_ChangedAtRandom_IsSeenAsByAFreshScan(int seed)
    {
        _data.Pictures.Write("elsewhere/0.png", Picture(level: 5));
        File.WriteAllBytes($"{_data.Outside}/a.png", Picture(level: 6));
        File.WriteAllBytes($"{_data.Outside}/b.png", Picture(level: 7));
        ChangeAndCompare(DataCatalog.ImageFolder, seed, BeginFolder, ChangeFolder);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Shards_ChangedAtRandom_AreSeenAsByAFreshScan(int seed)
    {
        Directory.CreateDirectory(_data.Pictures.Path(""));
        ChangeAndCompare(DataCatalog.TarShards, seed, BeginShards, ChangeShards);
    }

    private void ChangeAndCompare(string layout, int seed, Action begin, Func<Random, string> change)
    {
        var (random, read, done) = (new Random(seed), 0, "begin");
        begin();
        for (var changes = 0; changes < Changes; changes++)
        {
            var isRead = Compare(layout, $"seed {seed}, change {changes}: {done}");
            read += isRead ? 1 : 0;
            // What is refused hides what else is there: not for long.
            if (!isRead && random.Next(3) == 0)
                begin();
            else
                done = change(random);
        }

        read.ShouldBeInRange(Changes / 4, Changes - 1); // else little is compared but words, or no words are
    }

    /// <summary>False where the data set is refused.</summary>
    private bool Compare(string layout, string what)
    {
        _data.PassTick(); // before anything is listed, so that what is listed now is told from what the next change makes of it
        var fresh = _data.Read(layout, byIndex: false).Seen;
        _data.Read(layout).Seen.ShouldBe(fresh, what);
        var (seen, readAnew) = _data.Read(layout);
        seen.ShouldBe(fresh, what);
        _data.PassTick();
        if (seen.Contains("Exception: ", StringComparison.Ordinal))
            return false;
        readAnew.ShouldBe(0, what);
        return true;
    }

    private void BeginFolder()
    {
        _data.Pictures.Run("", "rm -rf train val test");
        foreach (var part in new[] { "train", "val" })
            _data.Pictures.WriteClasses(part, classes: 3, pictures: 4);
    }

    private void BeginShards()
    {
        _data.Pictures.Run("", "rm -rf *");
        for (var shard = 0; shard < 3; shard++)
            _data.WriteShard($"train-{shard}.tar", samples: 4 + shard);
        _data.WriteShard("val-0.tar", samples: 3);
    }

    private static byte[] Picture(byte level) => Png.Of(new PictureSize(3, 4), level);

    private string ChangeFolder(Random random)
    {
        var part = random.GetItems(["train", "train", "val", "test"], 1)[0];
        var folder = $"{part}/class-{random.Next(3)}";
        var file = $"{folder}/{random.Next(6)}.png";
        var (picture, outside) = ($"{_data.Outside}/a.png", _data.Outside);
        string[] commands =
        [
            $"mkdir -p {folder} && cp --remove-destination {picture} {file}",
            $"mkdir -p {folder} && cp --remove-destination {picture} {file}",
            $"mkdir -p {folder} && cp --remove-destination {picture} {folder}/{random.Next(6)}.PNG",
            $"rm -rf {file}",
            $"mkdir -p {folder} && mv -T {file} {folder}/{random.Next(9)}.jpg",
            $"mv -T {folder} {part}/CLASS-{random.Next(3)} && mv -T {part}/CLASS-* {folder}",
            $"mv {folder} {part}/other && mv {part}/other {folder}",
            $"touch -d '2001-02-03 04:05:06.{random.Next(9)}' {folder} {part} .",
            $"touch {file} && touch -d 2001-02-03 {folder}",
            $"rm -rf {file} && mkdir -p {file}",
            $"rm -rf {file} && mkfifo {file}",
            $"[ -f {file} ] && echo more >> {file}",
            $"[ -f {file} ] && cat {outside}/b.png > {file}",
            $"rm -rf {file} && ln -s ../../elsewhere/0.png {file}",
            $"rm -rf {file} && ln -s {outside}/b.png {file}",
            $"rm -rf {file} && ln -s gone {file}",
            $"rm -f elsewhere/1.png && ln -sfT ../../elsewhere/1.png {file}",
            $"cp {picture} elsewhere/1.png",
            $"rm -rf {folder} && mkdir -p {folder}",
            $"rm -rf {folder}",
            $"rm -rf {folder} && ln -sT ../elsewhere {folder}",
            $"rm -rf {folder}; ln -sT {outside} {folder}",
            $"rm -rf {part}/class-9; mkdir -p {part}/class-9",
            "rm -rf */class-9",
            $"mkdir -p {folder}/deeper; touch {folder}/a.webp {folder}/.hidden {folder}/Thumbs.db {part}/stray.png",
            $"touch {folder}/$'caf\\xe9.png'",
            $"mkdir -p {part}/$'caf\\xe9'",
            "rm -rf test",
            "rm -rf test && mkdir test && touch test/0.png",
            "rm -rf test && cp -r val test",
        ];
        return Run(commands, random);
    }

    private string ChangeShards(Random random)
    {
        var shard = random.GetItems(["train-0.tar", "train-1.tar", "train-2.tar", "train-3.tar", "val-0.tar", "test-0.tar"], 1)[0];
        var (samples, size) = (3 + random.Next(4), 3 + random.Next(3));
        _data.WriteShard("aside", samples, size, random.Next(2) == 0 ? [] : [("7.json", [1]), ("0.txt", [2])]);
        string[] commands =
        [
            $"rm -rf {shard} && mv aside {shard}", $"cat aside > {shard}", $"cat aside >> {shard}",
            $"cat aside > {shard}; touch -d 2001-02-03 {shard}", $"touch -d 2001-02-03 {shard}",
            $"rm -f {shard}", $"mv -T {shard} train-{random.Next(5)}.tar", $"truncate -s -512 {shard}", $"truncate -s 1536 {shard}",
            $"ln -sfT train-0.tar {shard}", $"ln -sfT gone {shard}", $"rm -f {shard}; mkdir {shard}", $"rmdir {shard}",
            $"gzip -kf {shard}", "rm -f *.gz", "touch other.tar .hidden.tar", $"tar -cf {shard} --files-from /dev/null",
            $"printf x | dd of={shard} bs=1 seek=156 conv=notrunc status=none",
            "rm -rf test-0.tar; cp val-0.tar test-0.tar; tar --delete -f test-0.tar 0.cls 1.cls 2.cls 3.cls 4.cls 5.cls",
        ];
        return Run(commands, random);
    }

    /// <summary>One of some commands, which may fail where what it needs is not there.</summary>
    private string Run(string[] commands, Random random)
    {
        var command = random.GetItems(commands, 1)[0];
        _data.Pictures.Run("", $"({command}) 2>/dev/null || true");
        return command;
    }
}
