using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data;

/// <summary>
/// Files that are wrong by their format's own grammar, with the checksums right: chunks of PNG, segments of JPEG and headers of tar files
/// taken out, repeated, swapped, and given other fields. They get further than damage at random, see <see cref="HostileFilesTests"/>.
/// </summary>
public sealed class FuzzedFilesTests(PilPictures pictures) : IClassFixture<PilPictures>
{
    private const int TarBlock = 512;

    // Of one thread, for a file of some kilobytes.
    private const long MostManagedBytes = 64 << 20;

    // Of the process, whatever was decoded in between.
    private const long MostGrowth = 512L << 20;

    private static readonly string[] Pngs =
        ["colours.png", "palette.png", "deep.png", "two-tones.png", "kind-6-16-interlaced.png", "kind-3-4-interlaced.png"];

    private static readonly string[] Jpegs = ["photo.jpg", "progressive.jpg", "cmyk.jpg"];

    [Fact]
    public void Pngs_OfOtherChunks_AreBrokenOrWhole() => Decode(rounds: 400, seed: 1, Pngs, MutatePng);

    [Fact]
    [Trait("Round", "full")]
    public void ManyPngs_OfOtherChunks_AreBrokenOrWhole() => Decode(rounds: 10_000, seed: 2, Pngs, MutatePng);

    [Fact]
    public void Jpegs_OfOtherSegments_AreBrokenOrWhole() => Decode(rounds: 400, seed: 3, Jpegs, MutateJpeg);

    [Fact]
    [Trait("Round", "full")]
    public void ManyJpegs_OfOtherSegments_AreBrokenOrWhole() => Decode(rounds: 10_000, seed: 4, Jpegs, MutateJpeg);

    [Fact]
    public void Jpeg_AfterOneWithAMarkerThatNobodyKnows_IsReadAsByItself()
    {
        var whole = pictures.File("photo.jpg");
        using var decoder = new PictureDecoder();
        var picture = new Picture();
        byte[] strange = [0xFF, 0xD8, 0xFF, 0xDE, 0, 4, 1, 2, .. whole[2..]];
        Should.Throw<BrokenPictureException>(() => Decode(strange)).Message.ShouldContain("Unsupported marker type 0xde");

        Decode(whole);

        picture.Size.Pixels.ShouldBeGreaterThan(0);

        void Decode(byte[] file) => decoder.Decode(file, 3, _ => 1, DataCatalog.DefaultMaxImagePixels, picture);
    }

    [Fact]
    public void Shards_OfOtherHeaders_AreRefusedOrRead() => Shards(rounds: 300, seed: 5);

    [Fact]
    [Trait("Round", "full")]
    public void ManyShards_OfOtherHeaders_AreRefusedOrRead() => Shards(rounds: 10_000, seed: 6);

    /// <summary>Extensions are read whole, as large as they claim to be: this one of two GiB, in a file of a few kilobytes.</summary>
    [Theory]
    [InlineData((byte)'x')]
    [InlineData((byte)'g')]
    [InlineData((byte)'L')]
    [InlineData((byte)'K')]
    public void Shard_WhoseExtensionClaimsGibibytes_IsRefusedWithoutTheirMemory(byte kind)
    {
        using var folder = new PictureFolder();
        folder.WriteTar("val-0.tar", ("0.png", Png.Of(new PictureSize(3, 3), 1)), ("0.cls", [.. "1"u8]));
        var tar = File.ReadAllBytes(folder.Path("val-0.tar"));
        tar[156] = kind;
        "17777777777"u8.CopyTo(tar.AsSpan(124));
        Checksum(tar, 0);
        folder.Write("train-0.tar", tar);

        Allocated(() => Should.Throw<DataSetException>(() => TarShards.Open(folder.Root, PictureFolder.Name, 2, new Decoding(3)))
            .Message.ShouldContain("train-0.tar, byte 0: an entry's name or attributes claim 2147483647 bytes"))
            .ShouldBeLessThan(MostManagedBytes);
    }

    private void Decode(int rounds, int seed, string[] names, Func<byte[], Random, byte[]> mutate)
    {
        var files = names.Select(pictures.File).ToArray();
        var random = new Random(seed);
        using var decoder = new PictureDecoder();
        var picture = new Picture();
        var whole = 0;
        var broken = new Dictionary<string, int>();
        var before = Environment.WorkingSet;
        for (var round = 0; round < rounds; round++)
        {
            var file = files[random.Next(files.Length)];
            for (var mutations = random.Next(1, 4); mutations > 0; mutations--)
                file = mutate(file, random);
            Allocated(() =>
            {
                try
                {
                    decoder.Decode(file, 1 + (2 * (round & 1)), _ => 1.0 / (1 + (round % 9)), DataCatalog.DefaultMaxImagePixels, picture);
                    ((long)picture.Values.Length).ShouldBeLessThanOrEqualTo(3 * DataCatalog.DefaultMaxImagePixels);
                    whole++;
                }
                catch (BrokenPictureException fault)
                {
                    broken[fault.Message] = broken.GetValueOrDefault(fault.Message) + 1;
                }
            }).ShouldBeLessThan(MostManagedBytes + (3 * DataCatalog.DefaultMaxImagePixels), $"round {round} of seed {seed}");
        }

        whole.ShouldBeGreaterThan(0, string.Join('\n', broken.OrderByDescending(each => each.Value).Take(10)));
        broken.Values.Sum().ShouldBeGreaterThan(rounds / 10);
        (Environment.WorkingSet - before).ShouldBeLessThan(MostGrowth);
    }

    private static void Shards(int rounds, int seed)
    {
        using var folder = new PictureFolder();
        folder.WriteTar("val-0.tar", ("0.png", Png.Of(new PictureSize(3, 3), 1)), ("0.cls", [.. "1"u8]));
        folder.WriteTar(
            "whole.tar", ("a/0.png", Png.Of(new PictureSize(3, 3), 1)), ("a/0.cls", [.. "1"u8]),
            (new string('b', 200) + ".png", Png.Of(new PictureSize(2, 2), 7)), (new string('b', 200) + ".cls", [.. "0"u8]));
        var whole = File.ReadAllBytes(folder.Path("whole.tar"));
        File.Delete(folder.Path("whole.tar"));
        var random = new Random(seed);
        var (read, refused) = (0, 0);
        for (var round = 0; round < rounds; round++)
        {
            var tar = whole.ToArray();
            for (var mutations = random.Next(1, 4); mutations > 0; mutations--)
                tar = MutateTar(tar, random);
            folder.Write("train-0.tar", tar);
            Allocated(() =>
            {
                try
                {
                    var train = TarShards.Open(folder.Root, PictureFolder.Name, classes: 2, new Decoding(3)).Train;
                    for (var sample = 0; sample < train.Count; sample++)
                        Load(train, sample);
                    read++;
                }
                catch (DataSetException refusal)
                {
                    refusal.Message.ShouldContain("train-0.tar");
                    refused++;
                }
            }).ShouldBeLessThan(MostManagedBytes, $"round {round} of seed {seed}");
        }

        read.ShouldBeGreaterThan(0);
        refused.ShouldBeGreaterThan(rounds / 10);
    }

    private static void Load(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        try
        {
            part.Load(sample, buffers, _ => 1);
        }
        catch (BrokenPictureException)
        {
            // Its bytes are no picture; the data set goes on without it.
        }
    }

    private static byte[] MutatePng(byte[] png, Random random)
    {
        var chunks = Chunks(png);
        if (chunks.Count == 0)
            return png;
        var at = random.Next(chunks.Count);
        switch (random.Next(7))
        {
            case 0:
                chunks.RemoveAt(at);
                break;
            case 1:
                chunks.Insert(random.Next(chunks.Count + 1), chunks[at]);
                break;
            case 2:
                var other = random.Next(chunks.Count);
                (chunks[at], chunks[other]) = (chunks[other], chunks[at]);
                break;
            case 3: // another field of the header, or of whatever it is
                var data = chunks[at][8..^4];
                if (data.Length > 0)
                    data[random.Next(data.Length)] = Byte(random);
                chunks[at] = Png.Chunk(TypeOf(chunks[at]), data);
                break;
            case 4: // other rows, compressed as they should be
                var rows = new byte[random.Next(1, 20_000)];
                random.NextBytes(rows);
                using (var packed = new MemoryStream())
                {
                    using (var zlib = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
                        zlib.Write(rows);
                    chunks[at] = Png.Chunk("IDAT", packed.ToArray());
                }

                break;
            case 5:
                var any = new byte[random.Next(2000)];
                random.NextBytes(any);
                string[] types = ["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "iCCP", "tEXt", "zzzz", "\0\0\0\0"];
                chunks.Insert(random.Next(chunks.Count + 1), Png.Chunk(types[random.Next(types.Length)], any));
                break;
            default: // cut to another length, which its field says
                var cut = chunks[at][8..^4];
                chunks[at] = Png.Chunk(TypeOf(chunks[at]), cut[..random.Next(cut.Length + 1)]);
                break;
        }

        return [.. PngHeader.Signature, .. chunks.SelectMany(chunk => chunk)];
    }

    private static List<byte[]> Chunks(byte[] png)
    {
        var chunks = new List<byte[]>();
        for (var at = 8; at + 12 <= png.Length;)
        {
            var bytes = 12 + BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(at));
            if (bytes < 12 || at + bytes > png.Length)
                break;
            chunks.Add(png[at..(at + bytes)]);
            at += bytes;
        }

        return chunks;
    }

    private static string TypeOf(byte[] chunk) => Encoding.ASCII.GetString(chunk, 4, 4);

    private static byte[] MutateJpeg(byte[] jpeg, Random random)
    {
        var (segments, rest) = Segments(jpeg);
        if (segments.Count == 0)
            return jpeg;
        var at = random.Next(segments.Count);
        switch (random.Next(6))
        {
            case 0:
                segments.RemoveAt(at);
                break;
            case 1:
                segments.Insert(random.Next(segments.Count + 1), segments[at]);
                break;
            case 2:
                var other = random.Next(segments.Count);
                (segments[at], segments[other]) = (segments[other], segments[at]);
                break;
            case 3: // a field of a frame, a table or a scan
                if (segments[at].Length > 4)
                {
                    segments[at] = [.. segments[at]];
                    segments[at][random.Next(4, segments[at].Length)] = Byte(random);
                }

                break;
            case 4: // another marker
                segments[at] = [.. segments[at]];
                segments[at][1] = (byte)random.Next(0xC0, 0xFF);
                break;
            default:
                rest = [.. rest];
                if (rest.Length > 0)
                    rest[random.Next(rest.Length)] = Byte(random);
                break;
        }

        return [0xFF, 0xD8, .. segments.SelectMany(segment => segment), .. rest];
    }

    /// <summary>Up to the first scan's data.</summary>
    private static (List<byte[]> Found, byte[] Scan) Segments(byte[] jpeg)
    {
        var segments = new List<byte[]>();
        var at = 2;
        while (at + 4 <= jpeg.Length && jpeg[at] == 0xFF)
        {
            var end = at + 2 + BinaryPrimitives.ReadUInt16BigEndian(jpeg.AsSpan(at + 2));
            if (end > jpeg.Length)
                break;
            segments.Add(jpeg[at..end]);
            var isScan = jpeg[at + 1] == 0xDA;
            at = end;
            if (isScan)
                break;
        }

        return (segments, jpeg[Math.Min(at, jpeg.Length)..]);
    }

    private static byte[] MutateTar(byte[] tar, Random random)
    {
        var blocks = tar.Length / TarBlock;
        if (blocks == 0)
            return tar;
        var (at, other) = (random.Next(blocks) * TarBlock, random.Next(blocks) * TarBlock);
        switch (random.Next(6))
        {
            case 0: // a block less
                return [.. tar[..at], .. tar[(at + TarBlock)..]];
            case 1:
                return [.. tar[..at], .. tar[other..(other + TarBlock)], .. tar[at..]];
            case 2:
                tar = [.. tar];
                byte[] sizes = [.. Sizes[random.Next(Sizes.Length)]];
                sizes.CopyTo(tar, at + 124);
                break;
            case 3: // another kind of entry
                tar = [.. tar];
                var kinds = "01234567xgLKSVMNDA\0"u8;
                tar[at + 156] = kinds[random.Next(kinds.Length)];
                break;
            case 4:
                tar = [.. tar];
                tar[at + random.Next(TarBlock)] = Byte(random);
                break;
            default:
                return tar[..random.Next(tar.Length + 1)];
        }

        Checksum(tar, at);
        return tar;
    }

    private static readonly byte[][] Sizes =
    [
        [.. "00000000000\0"u8], [.. "00000000001\0"u8], [.. "00000001000\0"u8], [.. "17777777777\0"u8], [.. "77777777777\0"u8],
        [.. "-0000000001\0"u8], [.. "99999999999\0"u8], [.. "           \0"u8], [0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        [0x80, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0],
    ];

    /// <summary>Of a header: the sum of its bytes, with the field itself taken for blanks.</summary>
    private static void Checksum(byte[] tar, int header)
    {
        var field = tar.AsSpan(header + 148, 8);
        field.Fill((byte)' ');
        var sum = 0;
        foreach (var value in tar.AsSpan(header, TarBlock))
            sum += value;
        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(field);
    }

    /// <summary>Those that formats have a meaning for more often than others.</summary>
    private static byte Byte(Random random)
    {
        byte[] telling = [0, 1, 2, 3, 4, 8, 16, 17, 0x7F, 0x80, 0xFE, 0xFF];
        return random.Next(2) == 0 ? telling[random.Next(telling.Length)] : (byte)random.Next(256);
    }

    private static long Allocated(Action action)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
