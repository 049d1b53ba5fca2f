using System.Buffers.Binary;
using System.IO.Compression;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;

namespace Cluster.Worker.Tests.Data.Formats;

public sealed class IdxFileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("idx-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Read_PlainOrGzipped_GivesDimsAndValues(bool gzipped)
    {
        var path = Write(Idx([2, 2, 3], [.. Enumerable.Range(0, 12).Select(i => (byte)i)]), gzipped);

        var array = IdxFile.Read(path, rank: 3);

        array.Dims.ShouldBe([2, 2, 3]);
        array.Values.ShouldBe(Enumerable.Range(0, 12).Select(i => (byte)i));
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData((1 << 20) + 1)]
    [InlineData(5_000_000)]
    public void Read_AFileBeyondWhatIsReservedAtFirst_GivesEveryValue(int count)
    {
        var values = new byte[count];
        new Random(7).NextBytes(values);

        IdxFile.Read(Write(Idx([count], values), gzipped: false), rank: 1).Values.AsSpan().SequenceEqual(values).ShouldBeTrue();
    }

    public static TheoryData<string, byte[], int, string> Hostile => new()
    {
        { "empty", [], 0, "ends within its header" },
        { "cut header", [0, 0, 8, 3, 0, 0], 6, "ends within its header of 16 bytes" },
        { "another format", [.. "PNG..............."u8], 0, "magic number is 504E472E" },
        { "floats", [0, 0, 0x0D, 3, .. new byte[12]], 0, "magic number is 00000D03" },
        { "another rank", [0, 0, 8, 1, .. new byte[12]], 3, "has 1 dims where 3 are needed" },
        { "no samples", Idx([0, 28, 28], []), 4, "dim 0 is 0" },
        { "gigabytes promised", Idx([0x7FFFFFFF, 28, 28], [1, 2, 3]), 4, "dim 0 is 2147483647" },
        { "product overflows", Idx([1 << 20, 1 << 20, 1 << 20], [1]), 8, "dim 1 is 1048576" },
        { "a third of what is promised", Idx([3, 2, 2], [1, 2, 3, 4]), 20, "ends after 4 of the 12 values" },
        { "a gigabyte promised, one byte there", Idx([1 << 10, 1 << 10, 1 << 10], [1]), 17, "ends after 1 of the 1073741824 values" },
        { "goes on", Idx([1, 2, 2], [1, 2, 3, 4, 5]), 20, "goes on after the 4 values" },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public void Read_DamagedFile_NamesFileAndOffset(string what, byte[] content, int offset, string says)
    {
        var path = Write(content, gzipped: false);

        var error = Should.Throw<DataSetException>(() => IdxFile.Read(path, rank: 3), what);

        error.Message.ShouldStartWith($"{path}, byte {offset}: ");
        error.Message.ShouldContain(says);
    }

    [Fact]
    public void Read_CutGzip_NamesTheFile()
    {
        var whole = File.ReadAllBytes(Write(Idx([4, 28, 28], new byte[4 * 28 * 28]), gzipped: true));
        var path = Write(whole[..(whole.Length / 2)], gzipped: false);

        Should.Throw<DataSetException>(() => IdxFile.Read(path, rank: 3)).Message.ShouldContain(path);
    }

    [Fact]
    public void Read_CorruptGzip_NamesTheFile()
    {
        var path = Write([0x1F, 0x8B, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], gzipped: false);

        Should.Throw<DataSetException>(() => IdxFile.Read(path, rank: 3)).Message.ShouldContain(path);
    }

    [Fact]
    public void Read_MissingFile_NamesIt() =>
        Should.Throw<DataSetException>(() => IdxFile.Read(Path.Combine(_folder.FullName, "none"), rank: 3))
            .Message.ShouldContain("none cannot be read");

    internal static byte[] Idx(int[] dims, byte[] values)
    {
        var header = new byte[4 + (4 * dims.Length)];
        (header[2], header[3]) = (8, (byte)dims.Length);
        for (var d = 0; d < dims.Length; d++)
            BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4 + (4 * d)), dims[d]);
        return [.. header, .. values];
    }

    private string Write(byte[] content, bool gzipped)
    {
        var path = Path.Combine(_folder.FullName, Guid.NewGuid().ToString("N"));
        using var file = File.Create(path);
        using Stream target = gzipped ? new GZipStream(file, CompressionLevel.Fastest) : file;
        target.Write(content);
        return path;
    }
}
