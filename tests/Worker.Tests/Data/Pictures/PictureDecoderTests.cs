using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Pictures;

public sealed class PictureDecoderTests(PilPictures pictures) : IClassFixture<PilPictures>
{
    [Theory]
    [InlineData("photo.jpg")]
    [InlineData("progressive.jpg")]
    [InlineData("full-chroma.jpg")]
    [InlineData("grey.jpg")]
    public void Jpeg_IsWhatPilReads(string name)
    {
        var picture = Decode(pictures.File(name), channels: 3);

        picture.Size.ShouldBe(new PictureSize(375, 500));
        picture.Values.ToArray().ShouldBe(pictures.File(Path.ChangeExtension(name, ".rgb"))); // the same library under both
    }

    [Fact]
    public void Cmyk_IsConvertedAsPilDoes()
    {
        var mine = Decode(pictures.File("cmyk.jpg"), channels: 3).Values.ToArray();
        var reference = pictures.File("cmyk.rgb");

        mine.Zip(reference, (a, b) => Math.Abs(a - b)).Max().ShouldBeLessThanOrEqualTo(1); // PIL rounds the product, here it is cut
    }

    [Theory]
    [InlineData("colours.png")]
    [InlineData("translucent.png")]
    [InlineData("grey-png.png")]
    [InlineData("grey-translucent.png")]
    [InlineData("palette.png")]
    [InlineData("few-colours.png")]
    [InlineData("two-tones.png")]
    [InlineData("deep.png")]
    public void Png_IsWhatPilReads(string name)
    {
        var picture = Decode(pictures.File(name), channels: 3);

        picture.Size.ShouldBe(new PictureSize(33, 45));
        picture.Values.ToArray().ShouldBe(pictures.File(Path.ChangeExtension(name, ".rgb")));
    }

    [Theory]
    [InlineData("grey.jpg")]
    [InlineData("grey-png.png")]
    public void Grey_ToOneChannel_KeepsItsValues(string name)
    {
        var three = Decode(pictures.File(name), channels: 3).Values.ToArray();

        Decode(pictures.File(name), channels: 1).Values.ToArray().ShouldBe(three.Where((_, i) => i % 3 == 0));
    }

    [Theory]
    [InlineData("photo.jpg")]
    [InlineData("cmyk.jpg")]
    [InlineData("colours.png")]
    public void Colour_ToOneChannel_IsItsLuma(string name)
    {
        var colours = Decode(pictures.File(name), channels: 3).Values.ToArray().Chunk(3);

        Decode(pictures.File(name), channels: 1).Values.ToArray()
            .Zip(colours, (grey, colour) => Math.Abs(grey - ((0.299 * colour[0]) + (0.587 * colour[1]) + (0.114 * colour[2]))))
            .Average().ShouldBeLessThan(1); // colours that JPEG's conversion had to clip are further off
    }

    [Theory]
    [InlineData(1.0, 1, 375, 500)]
    [InlineData(0.51, 1, 375, 500)]
    [InlineData(0.5, 2, 188, 250)]
    [InlineData(0.2, 4, 94, 125)]
    [InlineData(0.01, 8, 47, 63)]
    public void Jpeg_IsShrunkNoFurtherThanIsEnough(double enough, int shrink, int height, int width)
    {
        var picture = Decode(pictures.File("photo.jpg"), channels: 3, enough);

        (picture.Shrink, picture.Size, picture.StoredSize).ShouldBe((shrink, new PictureSize(height, width), new PictureSize(375, 500)));
        var whole = Decode(pictures.File("photo.jpg"), channels: 3);
        Mean(picture).ShouldBe(Mean(whole), 1.0); // the last blocks reach beyond the picture

        static double Mean(Picture picture) => picture.Values.ToArray().Average(value => value);
    }

    [Theory]
    [InlineData("photo.jpg")]
    [InlineData("colours.png")]
    public void TooLargeAPicture_IsOneThatIsTooLargeOnceItIsShrunk(string name)
    {
        var stored = Decode(pictures.File(name), channels: 3).StoredSize;
        var (whole, quarter) = (stored.Pixels, stored.Shrunk(4).Pixels);

        Decode(pictures.File(name), 3, enough: 1, maxPixels: whole).Size.ShouldBe(stored);
        Should.Throw<BrokenPictureException>(() => Decode(pictures.File(name), 3, enough: 1, maxPixels: whole - 1)).Message.ShouldBe(
            $"has {stored.Width}×{stored.Height} pixels, of which its decoder would hold {whole}; data.maxImagePixels is {whole - 1}: "
                + "raise it or shrink the picture");
        Decode(pictures.File(name), 3, enough: 0.25, maxPixels: quarter).Shrink.ShouldBe(4);
        Should.Throw<BrokenPictureException>(() => Decode(pictures.File(name), 3, enough: 0.25, maxPixels: quarter - 1));
    }

    [Theory]
    [Trait("Round", "full")]
    [InlineData(false, 1500 * 1125 * 3)]
    [InlineData(true, (1500 * 1125 * 3) + (12000L * 9008 * 3 / 2 * sizeof(short)))]
    public void Photograph_Of108Megapixels_IsReadForANetworkOf224Pixels(bool progressive, long bytes)
    {
        var photograph = pictures.Photograph(progressive);
        var memory = new PictureMemory(long.MaxValue);
        using var buffers = new PictureBuffers();
        buffers.BeginSample(memory);

        buffers.Decoder.Decode(photograph, 3, size => 224.0 / size.Height, DataCatalog.DefaultMaxImagePixels, buffers.Picture);

        (buffers.Picture.StoredSize, buffers.Picture.Size).ShouldBe((new PictureSize(9000, 12000), new PictureSize(1125, 1500)));
        memory.PeakBytes.ShouldBe(bytes);
        buffers.Picture.Values[^1].ShouldBeGreaterThan(
            buffers.Picture.Values[(1125 / 2 * buffers.Picture.RowBytes) + (buffers.Picture.RowBytes / 2)]);
    }

    /// <summary>It is held as coefficients whole, however little of it is wanted.</summary>
    [Fact]
    public void ProgressiveJpeg_CountsAsItIsStored()
    {
        var stored = new PictureSize(375, 500);

        Should.Throw<BrokenPictureException>(() => Decode(pictures.File("progressive.jpg"), 3, enough: 0.1, maxPixels: stored.Pixels / 3))
            .Message.ShouldContain("has 500×375 pixels");
        Decode(pictures.File("progressive.jpg"), 3, enough: 0.1, maxPixels: stored.Pixels + 10_000).Shrink.ShouldBe(8);
    }

    [Fact]
    public void JpegFrame_HoldsCoefficientsWhereScansHaveAPartEach()
    {
        // Two components of 20 × 12 pixels, the first sampled twice as often each way: two units across and one down, of five blocks each.
        byte[] Frame(byte marker) => [0xFF, marker, 0, 14, 8, 0, 12, 0, 20, 2, 1, 0x22, 0, 2, 0x11, 0];
        byte[] Scan(byte components) => [0xFF, 0xDA, 0, 6, components, 0, 0, 0];
        byte[] start = [0xFF, 0xD8], table = [0xFF, 0xC4, 0, 3, 9], padding = [0xFF, 0xFF];
        const long All = 2 * 5 * 64 * 2;

        JpegFrame.Read([.. start, .. Frame(0xC0), .. table, .. Scan(2)]).HeldCoefficientBytes.ShouldBe(0);
        JpegFrame.Read([.. start, .. table, .. Frame(0xC0), .. Scan(1)]).HeldCoefficientBytes.ShouldBe(All);
        JpegFrame.Read([.. start, .. Frame(0xC2), .. padding, .. Scan(2)]).HeldCoefficientBytes.ShouldBe(All);
        JpegFrame.Read([.. start, .. Frame(0xC2)]).HeldCoefficientBytes.ShouldBe(0);
        JpegFrame.Read([.. start, 0xFF, 0xC2, 0, 1]).HeldCoefficientBytes.ShouldBe(0);
    }

    [Fact]
    public void OtherFormat_IsRefused() =>
        Should.Throw<BrokenPictureException>(() => Decode([.. "GIF89a"u8], 3)).Message.ShouldBe("is neither a JPEG nor a PNG file");

    [Fact]
    public void CutJpeg_IsBroken() =>
        Should.Throw<BrokenPictureException>(() => Decode(pictures.File("photo.jpg")[..5000], 3)).Message.ShouldContain("remature end");

    internal static Picture Decode(byte[] file, int channels, double enough = 1, long maxPixels = DataCatalog.DefaultMaxImagePixels)
    {
        using var decoder = new PictureDecoder();
        var picture = new Picture();
        decoder.Decode(file.ToArray(), channels, _ => enough, maxPixels, picture);
        return picture;
    }
}
