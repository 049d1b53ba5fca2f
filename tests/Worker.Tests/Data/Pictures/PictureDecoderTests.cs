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

    [Fact]
    public void OtherFormat_IsRefused() =>
        Should.Throw<BrokenPictureException>(() => Decode([.. "GIF89a"u8], 3)).Message.ShouldBe("is neither a JPEG nor a PNG file");

    [Fact]
    public void CutJpeg_IsBroken() =>
        Should.Throw<BrokenPictureException>(() => Decode(pictures.File("photo.jpg")[..5000], 3)).Message.ShouldContain("remature end");

    internal static Picture Decode(byte[] file, int channels, double enough = 1)
    {
        using var decoder = new PictureDecoder();
        var picture = new Picture();
        decoder.Decode(file.ToArray(), channels, _ => enough, picture);
        return picture;
    }
}
