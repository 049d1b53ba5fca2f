using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Pictures;

/// <summary>Windows of a picture against PIL and torchvision, in levels of 255.</summary>
public sealed class ResamplerTests(PilPictures pictures) : IClassFixture<PilPictures>
{
    private const int Size = 224;

    // PIL rounds to a byte after each of the two axes, at most half a level each; here nothing is rounded. A hundredth for float32.
    private const double Rounding = 1.01;

    [Fact]
    public void CenterCrop_IsTorchvisions() => ShouldBe(CropChoice.OfResized(Stored, 256, Size, CropChoice.Middle), "crop-center.rgb");

    [Fact]
    public void CornerCrop_IsTorchvisions() =>
        ShouldBe(CropChoice.OfResized(Stored, 256, Size, (lefts, tops) => CropChoice.CornerOrMiddle(1, lefts, tops)), "crop-corner.rgb");

    [Fact]
    public void Box_IsTorchvisions() => ShouldBe(CropWindow.OfBox(new PixelBox(77, 31, 250, 290), Size), "crop-box.rgb");

    [Fact]
    public void EnlargedBox_IsTorchvisions() => ShouldBe(CropWindow.OfBox(new PixelBox(300, 200, 61, 90), Size), "crop-small-box.rgb");

    [Fact]
    public void WholePicture_IsTorchvisions() => ShouldBe(CropWindow.OfBox(new PixelBox(0, 0, 500, 375), Size), "crop-large-box.rgb");

    [Fact]
    public void ShrunkByTheDecoder_IsNearlyTheSame()
    {
        // 60 × 60 of 500 × 375 pixels: decoded at a quarter.
        var window = CropWindow.OfBox(new PixelBox(20, 10, 470, 350), 60);
        var whole = Resample(PictureDecoderTests.Decode(pictures.File("photo.jpg"), 3), window, 60, flip: false);
        var shrunk = PictureDecoderTests.Decode(pictures.File("photo.jpg"), 3, window.Enough);

        shrunk.Shrink.ShouldBe(4);
        var difference = Resample(shrunk, window.In(shrunk), 60, flip: false).Zip(whole, (a, b) => Math.Abs(a - b)).ToArray();
        difference.Average().ShouldBeLessThan(4); // a box and a triangle where the filter was one triangle: some sharpness at edges
    }

    [Fact]
    public void Flip_Mirrors()
    {
        var window = CropWindow.OfBox(new PixelBox(77, 31, 250, 290), Size);
        var picture = PictureDecoderTests.Decode(pictures.File("photo.jpg"), 3);

        Resample(picture, window, Size, flip: true)
            .ShouldBe(Resample(picture, window, Size, flip: false).Chunk(Size).SelectMany(row => row.Reverse()));
    }

    [Fact]
    public void GreyPicture_IsTheSameAsInColour()
    {
        var window = CropWindow.OfBox(new PixelBox(77, 31, 250, 290), Size);
        var colour = Resample(PictureDecoderTests.Decode(pictures.File("grey.jpg"), 3), window, Size, flip: false);

        var grey = Resample(PictureDecoderTests.Decode(pictures.File("grey.jpg"), 1), window, Size, flip: false);

        grey.Zip(colour, (a, b) => Math.Abs(a - b)).Max().ShouldBeLessThan(0.01f);
    }

    private static readonly PictureSize Stored = new(375, 500);

    private void ShouldBe(CropWindow window, string reference)
    {
        var mine = Resample(PictureDecoderTests.Decode(pictures.File("photo.jpg"), 3), window, Size, flip: false);
        var theirs = pictures.File(reference); // Size × Size × 3
        var largest = 0.0;
        for (var p = 0; p < Size * Size; p++)
        {
            for (var c = 0; c < 3; c++)
                largest = Math.Max(largest, Math.Abs(mine[(c * Size * Size) + p] - theirs[(3 * p) + c]));
        }

        largest.ShouldBeLessThan(Rounding, reference);
    }

    private static float[] Resample(Picture picture, CropWindow window, int size, bool flip)
    {
        var output = new float[picture.Channels * size * size];
        new Resampler().Resample(picture, window, size, flip, [1, 1, 1], [0, 0, 0], output);
        return output;
    }
}
