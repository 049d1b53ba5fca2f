using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Pictures;

public sealed class PngDecoderTests(PilPictures pictures) : IClassFixture<PilPictures>
{
    /// <summary>Colour type and depth, as many as the specification allows.</summary>
    public static TheoryData<int, int> Kinds { get; } = new()
    {
        { 0, 1 }, { 0, 2 }, { 0, 4 }, { 0, 8 }, { 0, 16 },
        { 2, 8 }, { 2, 16 },
        { 3, 1 }, { 3, 2 }, { 3, 4 }, { 3, 8 },
        { 4, 8 }, { 4, 16 },
        { 6, 8 }, { 6, 16 },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Decode_OfAnyKindWithEveryFilter_IsWhatPilReads(int colours, int depth)
    {
        var name = $"kind-{colours}-{depth}";
        var reference = pictures.File($"{name}.rgb");

        PictureDecoderTests.Decode(pictures.File($"{name}.png"), channels: 3).Values.ToArray().ShouldBe(reference);
        PictureDecoderTests.Decode(pictures.File($"{name}-interlaced.png"), channels: 3).Values.ToArray().ShouldBe(reference);
        pictures.File($"{name}-interlaced.rgb").ShouldBe(reference);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Decode_ToOneChannel_IsTheLumaOfThree(int colours, int depth)
    {
        foreach (var name in new[] { $"kind-{colours}-{depth}.png", $"kind-{colours}-{depth}-interlaced.png" })
        {
            var three = PictureDecoderTests.Decode(pictures.File(name), channels: 3).Values.ToArray();

            PictureDecoderTests.Decode(pictures.File(name), channels: 1).Values.ToArray()
                .ShouldBe(three.Chunk(3).Select(pixel => Grey.Of(pixel[0], pixel[1], pixel[2])));
        }
    }

    /// <summary>As a JPEG is shrunk, whatever passes its pixels come in.</summary>
    [Theory]
    [InlineData(2, 64, 48)]
    [InlineData(4, 61, 47)]
    [InlineData(8, 61, 3)]
    [InlineData(8, 1, 9)]
    public void Shrunk_IsTheRoundedMeanOfBlocks(int shrink, int height, int width)
    {
        static byte Level(int y, int x) => (byte)((y * 37) + (x * x * 11));
        var size = new PictureSize(height, width);
        foreach (var interlaced in (bool[])[false, true])
        {
            foreach (var channels in (int[])[1, 3])
            {
                var whole = PictureDecoderTests.Decode(Png.Of(size, interlaced, Level), channels);
                var shrunk = PictureDecoderTests.Decode(Png.Of(size, interlaced, Level), channels, enough: 1.0 / shrink);

                (shrunk.Shrink, shrunk.StoredSize, shrunk.Size).ShouldBe((shrink, size, size.Shrunk(shrink)));
                shrunk.Values.ToArray().ShouldBe(Means(whole, shrink, channels));
            }
        }
    }

    private static IEnumerable<byte> Means(Picture whole, int block, int channels)
    {
        var (values, size) = (whole.Values.ToArray(), whole.Size);
        return
            from y in Enumerable.Range(0, size.Shrunk(block).Height)
            from x in Enumerable.Range(0, size.Shrunk(block).Width)
            from c in Enumerable.Range(0, channels)
            let pixels = (
                from inY in Enumerable.Range(y * block, Math.Min(block, size.Height - (y * block)))
                from inX in Enumerable.Range(x * block, Math.Min(block, size.Width - (x * block)))
                select (int)values[(((inY * size.Width) + inX) * channels) + c]).ToList()
            select (byte)Math.Floor(pixels.Average() + 0.5);
    }

    [Fact]
    public void Decode_OfASmallInterlacedPicture_WhichLacksSomePasses_IsWhole()
    {
        var sizes = from height in Enumerable.Range(1, 9) from width in Enumerable.Range(1, 9) select new PictureSize(height, width);
        foreach (var size in sizes)
        {
            var picture = PictureDecoderTests.Decode(Png.Of(size, interlaced: true, Level), channels: 1);

            picture.Size.ShouldBe(size);
            picture.Values.ToArray()
                .ShouldBe(from y in Enumerable.Range(0, size.Height) from x in Enumerable.Range(0, size.Width) select Level(y, x));
        }

        static byte Level(int y, int x) => (byte)((16 * y) + x);
    }

    [Fact]
    public void Decode_AfterOtherPictures_IsAsTheFirst()
    {
        using var decoder = new PictureDecoder();
        var picture = new Picture();
        byte[] wide = Png.Of(new PictureSize(2, 900), level: 255);
        foreach (var name in Kinds.Select(kind => $"kind-{kind.Data.Item1}-{kind.Data.Item2}-interlaced"))
        {
            decoder.Decode(wide.ToArray(), 3, _ => 1, DataCatalog.DefaultMaxImagePixels, picture);
            decoder.Decode(pictures.File($"{name}.png"), 3, _ => 1, DataCatalog.DefaultMaxImagePixels, picture);

            picture.Values.ToArray().ShouldBe(pictures.File($"{name}.rgb"));
        }
    }

    [Theory]
    [InlineData(12)] // IEND
    [InlineData(5)]
    [InlineData(1)]
    public void Decode_WithoutTheLastChunk_IsThePicture(int missing)
    {
        var picture = PictureDecoderTests.Decode(pictures.File("colours.png")[..^missing], channels: 3);

        picture.Values.ToArray().ShouldBe(pictures.File("colours.rgb"));
    }

    [Fact]
    public void Decode_WhenCutInAChunkBehindTheData_IsThePicture()
    {
        byte[] file = [.. pictures.File("colours.png")[..^12], .. Png.Chunk("tEXt", new byte[100])[..50]];

        PictureDecoderTests.Decode(file, channels: 3).Values.ToArray().ShouldBe(pictures.File("colours.rgb"));
    }

    [Theory]
    [InlineData("kind-2-8.png")]
    [InlineData("kind-2-8-interlaced.png")]
    public void Decode_WhenCutBetweenChunksOfData_IsBroken(string name)
    {
        const int FirstDataEnds = 8 + 25 + 12 + 100; // signature, header, and the chunk around the first 100 bytes

        Broken(pictures.File(name)[..FirstDataEnds]).ShouldBe("is a damaged PNG file: its rows end early");
    }

    [Theory]
    [InlineData(20, "beyond the file's end")]
    [InlineData(13, "beyond the file's end")] // only the chunk's checksum, but nobody can tell
    public void Decode_WhenCutWithinData_IsBroken(int missing, string says)
    {
        Broken(pictures.File("colours.png")[..^missing]).ShouldEndWith(says);
        Broken(pictures.File("kind-2-8.png")[..^missing]).ShouldEndWith(says); // whose data is in two chunks
    }

    [Theory]
    [InlineData(15, "it ends within the chunk at byte 8")]
    [InlineData(30, "the chunk at byte 8 claims 13 bytes, beyond the file's end")]
    [InlineData(33, "it ends within the chunk at byte 33")]
    [InlineData(40, "it ends within the chunk at byte 33")]
    public void Decode_WhenCutBeforeItsData_IsBroken(int left, string says) =>
        Broken(pictures.File("colours.png")[..left]).ShouldBe($"is a damaged PNG file: {says}");

    [Fact]
    public void Decode_WhenAChunksChecksumIsWrong_IsBroken()
    {
        var file = pictures.File("colours.png");
        file[8 + 8]++; // in the header

        Broken(file).ShouldBe("is a damaged PNG file: the checksum of the chunk at byte 8 is wrong");
    }

    [Fact]
    public void Decode_WhenTheDatasChecksumIsWrong_IsBroken()
    {
        var file = pictures.File("colours.png");
        file[^(12 + 4 + 1)]++; // the last byte before that chunk's own checksum and IEND

        Broken(file).ShouldBe("is a damaged PNG file: its compressed data is damaged");
    }

    [Fact]
    public void Decode_WhenItsDataNeedsADictionary_IsBroken()
    {
        var file = pictures.File("colours.png");
        (file[41], file[42]) = (0x78, 0xBB); // zlib's header, which asks for one

        Broken(file).ShouldBe("is a damaged PNG file: its compressed data is damaged");
    }

    [Fact]
    public void Decode_WithAnUnknownFilter_IsBroken()
    {
        byte[] rows = [0, 1, 2, 5, 1, 2];

        Broken(Png.Of(new PictureSize(2, 2), depth: 8, colours: 0, rows)).ShouldBe("is a damaged PNG file: filter 5 is unknown");
    }

    [Fact]
    public void Decode_WithAColourBeyondThePalette_IsBroken()
    {
        byte[] palette = [10, 20, 30, 40, 50, 60];

        Broken(Png.Of(new PictureSize(1, 3), depth: 8, colours: 3, rows: [0, 0, 1, 2], palette: palette))
            .ShouldBe("is a damaged PNG file: a pixel has colour 2 of a palette of 2");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(771)]
    public void Decode_WithAPaletteOfAnImpossibleLength_IsBroken(int bytes) =>
        Broken(Png.Of(new PictureSize(1, 1), depth: 8, colours: 3, rows: [0, 0], palette: new byte[bytes]))
            .ShouldBe($"is a damaged PNG file: its palette has {bytes} bytes");

    private static string Broken(byte[] file) =>
        Should.Throw<BrokenPictureException>(() => PictureDecoderTests.Decode(file, channels: 3)).Message;
}
