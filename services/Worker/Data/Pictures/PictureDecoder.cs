namespace Cluster.Worker.Data.Pictures;

/// <summary>JPEG and PNG, told apart by their content. For one thread.</summary>
/// <remarks>Pictures are taken as stored: an orientation in EXIF is not applied (nor is it by torchvision), colour profiles and transparency are
/// left out.</remarks>
public sealed class PictureDecoder : IDisposable
{
    /// <summary>No camera's picture comes near it (67 million); what claims more would only take the node's memory.</summary>
    internal const long MaxPixels = 1L << 26;

    /// <summary>libpng's own limit; a decoder needs some rows beside the picture.</summary>
    internal const int MaxSide = 1_000_000;

    private readonly JpegDecoder jpeg = new();
    private readonly PngDecoder png = new();

    /// <summary>Decodes a picture, perhaps shrunk.</summary>
    /// <param name="encoded">The file's bytes, which are used up.</param>
    /// <param name="channels">1 or 3: grey or colour is converted.</param>
    /// <param name="enough">The share of a stored picture's pixels a side that is enough.</param>
    /// <param name="into">The result.</param>
    /// <exception cref="BrokenPictureException">It is damaged, of another format, or claims an absurd size.</exception>
    public void Decode(Memory<byte> encoded, int channels, Func<PictureSize, double> enough, Picture into)
    {
        if (encoded.Span is [0xFF, 0xD8, ..])
            jpeg.Decode(encoded.Span, channels, enough, into);
        else if (encoded.Span.StartsWith(PngHeader.Signature))
            png.Decode(encoded, channels, into);
        else
            throw new BrokenPictureException("is neither a JPEG nor a PNG file");
    }

    public void Dispose() => jpeg.Dispose();

    /// <param name="size">That the file claims.</param>
    /// <param name="encodedBytes">That it has.</param>
    /// <param name="pixelsPerByte">More than its format can squeeze into a byte.</param>
    internal static void RequireCredible(PictureSize size, long encodedBytes, long pixelsPerByte)
    {
        if (size.Height < 1 || size.Width < 1 || size.Pixels > MaxPixels || Math.Max(size.Height, size.Width) > MaxSide)
        {
            throw new BrokenPictureException(
                $"claims {size.Width}×{size.Height} pixels; from 1 to {MaxPixels} in all and {MaxSide} a side are read");
        }

        if (size.Pixels > encodedBytes * pixelsPerByte)
            throw new BrokenPictureException($"claims {size.Width}×{size.Height} pixels, which its {encodedBytes} bytes cannot hold");
    }
}
