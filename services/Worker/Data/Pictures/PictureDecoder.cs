namespace Cluster.Worker.Data.Pictures;

/// <summary>JPEG and PNG, told apart by their content. For one thread.</summary>
/// <remarks>
/// Pictures are taken as stored: an orientation in EXIF is not applied (nor is it by torchvision), colour profiles and transparency are
/// left out.
/// </remarks>
public sealed class PictureDecoder : IDisposable
{
    /// <summary>libpng's own limit; a decoder needs some rows beside the picture.</summary>
    internal const int MaxSide = 1_000_000;

    private readonly JpegDecoder jpeg;
    private readonly PngDecoder png;

    public PictureDecoder()
        : this(new PictureReservation())
    {
    }

    internal PictureDecoder(PictureReservation reservation) => (jpeg, png) = (new JpegDecoder(reservation), new PngDecoder(reservation));

    /// <summary>Decodes a picture, perhaps shrunk.</summary>
    /// <param name="encoded">The file's bytes, which are used up.</param>
    /// <param name="channels">1 or 3: grey or colour is converted.</param>
    /// <param name="enough">The share of a stored picture's pixels a side that is enough.</param>
    /// <param name="maxPixels">That may be held of it, once it is shrunk.</param>
    /// <param name="into">The result.</param>
    /// <exception cref="BrokenPictureException">It is damaged, of another format, too large, or claims an absurd size.</exception>
    public void Decode(Memory<byte> encoded, int channels, Func<PictureSize, double> enough, long maxPixels, Picture into)
    {
        if (encoded.Span is [0xFF, 0xD8, ..])
            jpeg.Decode(encoded.Span, channels, enough, maxPixels, into);
        else if (encoded.Span.StartsWith(PngHeader.Signature))
            png.Decode(encoded, channels, enough, maxPixels, into);
        else
            throw new BrokenPictureException("is neither a JPEG nor a PNG file");
    }

    public void Dispose()
    {
        jpeg.Dispose();
        png.Dispose();
    }

    /// <summary>The picture is no longer needed.</summary>
    internal void Trim() => png.Trim();

    /// <summary>The factor by which a picture is shrunk, of those that JPEG's inverse cosine transform knows.</summary>
    internal static int Shrink(double enough) => enough switch
    {
        <= 1 / 8.0 => 8,
        <= 1 / 4.0 => 4,
        <= 1 / 2.0 => 2,
        _ => 1,
    };

    /// <param name="size">That the file claims.</param>
    /// <param name="encodedBytes">That it has.</param>
    /// <param name="pixelsPerByte">More than its format can squeeze into a byte.</param>
    internal static void RequireCredible(PictureSize size, long encodedBytes, long pixelsPerByte)
    {
        if (size.Height < 1 || size.Width < 1 || Math.Max(size.Height, size.Width) > MaxSide)
            throw new BrokenPictureException($"claims {size.Width}×{size.Height} pixels; from 1 to {MaxSide} a side are read");

        if (size.Pixels > encodedBytes * pixelsPerByte)
            throw new BrokenPictureException($"claims {size.Width}×{size.Height} pixels, which its {encodedBytes} bytes cannot hold");
    }

    /// <param name="stored">The picture's size.</param>
    /// <param name="heldPixels">What of it its decoder would hold.</param>
    /// <param name="maxPixels">What it may.</param>
    internal static void RequireRoom(PictureSize stored, long heldPixels, long maxPixels)
    {
        if (heldPixels > maxPixels)
        {
            throw new BrokenPictureException(
                $"has {stored.Width}×{stored.Height} pixels, of which its decoder would hold {heldPixels}; "
                    + $"data.maxImagePixels is {maxPixels}: raise it or shrink the picture");
        }
    }
}
