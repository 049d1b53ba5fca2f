namespace Cluster.Worker.Data.Pictures;

/// <summary>JPEG by libjpeg-turbo. For one thread.</summary>
/// <remarks>Shrinks by 2, 4 or 8 while it decodes, where the smaller picture still has pixels enough: the inverse cosine transform of fewer
/// coefficients costs less and needs no resampling of what would be thrown away. Its box filter differs a little from decoding all and
/// resampling: see the tests for how little.</remarks>
internal sealed unsafe class JpegDecoder(PictureReservation reservation) : IDisposable
{
    /// <summary>A block of 8×8 samples takes a bit at the least, where all are of one level: 512 to a byte, and room to spare.</summary>
    private const long PixelsPerByte = 4096;

    /// <summary>Of three colours of full resolution.</summary>
    private const int FullPixelCoefficientBytes = 3 * sizeof(short);

    private nint _handle;

    public void Decode(ReadOnlySpan<byte> encoded, int channels, Func<PictureSize, double> enough, long maxPixels, Picture into)
    {
        Open();
        fixed (byte* jpeg = encoded)
        {
            if (TurboJpeg.DecompressHeader(
                _handle, jpeg, (nuint)encoded.Length, out var width, out var height, out _, out var colours) != 0)
                RequireWhole();
            var stored = new PictureSize(height, width);
            PictureDecoder.RequireCredible(stored, encoded.Length, PixelsPerByte);
            var shrink = PictureDecoder.Shrink(enough(stored));
            var coefficientBytes = JpegFrame.Read(encoded).HeldCoefficientBytes;
            PictureDecoder.RequireRoom(
                stored, Math.Max(stored.Shrunk(shrink).Pixels, coefficientBytes / FullPixelCoefficientBytes), maxPixels);
            reservation.Add(coefficientBytes);
            if (colours is TurboJpeg.ColoursCmyk or TurboJpeg.ColoursYcck)
            {
                into.Reshape(stored, shrink, 4);
                Decompress(jpeg, encoded.Length, into, TurboJpeg.PixelsCmyk);
                FromInvertedCmyk(into, channels);
            }
            else
            {
                into.Reshape(stored, shrink, channels);
                Decompress(jpeg, encoded.Length, into, channels == 1 ? TurboJpeg.PixelsGrey : TurboJpeg.PixelsRgb);
            }
        }
    }

    public void Dispose()
    {
        if (_handle != 0)
            TurboJpeg.Destroy(_handle);
        _handle = 0;
    }

    private void Open()
    {
        if (TurboJpeg.Missing is { } missing)
            throw new DataUnavailableException(missing);
        if (_handle == 0)
            _handle = TurboJpeg.InitDecompress();
        if (_handle == 0)
            throw new DataUnavailableException("libturbojpeg gives no decoder; the node is out of memory");
    }

    private void Decompress(byte* jpeg, int bytes, Picture into, int format)
    {
        fixed (byte* pixels = into.Values)
        {
            if (TurboJpeg.Decompress(
                _handle, jpeg, (nuint)bytes, pixels, into.Size.Width, into.RowBytes, into.Size.Height, format, TurboJpeg.LimitScans) != 0)
                RequireWhole();
        }
    }

    /// <summary>
    /// libjpeg-turbo warns of much that harms nothing, such as bytes between markers; but rows that it had to make up are no picture.
    /// </summary>
    private void RequireWhole()
    {
        var error = TurboJpeg.Error(_handle);
        if (TurboJpeg.ErrorCode(_handle) == TurboJpeg.ErrorIsWarning && !error.Contains("remature end", StringComparison.Ordinal))
            return;
        // A decoder that has failed within a header goes on there with the next picture, which would seem damaged too.
        Dispose();
        throw new BrokenPictureException($"is a damaged JPEG file: {error}");
    }

    /// <summary>In place. Adobe's programs store inks inverted, 255 for none, and nearly all such files are theirs.</summary>
    private static void FromInvertedCmyk(Picture picture, int channels)
    {
        var inks = picture.Values;
        for (var p = 0; p < inks.Length / 4; p++)
        {
            var black = inks[(4 * p) + 3];
            var (red, green, blue) = (inks[4 * p] * black / 255, inks[(4 * p) + 1] * black / 255, inks[(4 * p) + 2] * black / 255);
            if (channels == 1)
                inks[p] = Grey.Of(red, green, blue);
            else
                (inks[3 * p], inks[(3 * p) + 1], inks[(3 * p) + 2]) = ((byte)red, (byte)green, (byte)blue);
        }

        picture.Reshape(picture.StoredSize, picture.Shrink, channels);
    }
}
