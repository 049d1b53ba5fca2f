using System.IO.Compression;

namespace Cluster.Worker.Data.Pictures;

/// <summary>PNG: W3C PNG specification, third edition. Every colour type and depth, interlaced or not; 16 bits are cut to 8, transparency
/// is left out. Shrinks by 2, 4 or 8 as a JPEG is shrunk, by the means of blocks. For one thread.</summary>
/// <remarks>
/// Rows become pixels one at a time, so beside the picture it takes a few rows and some KiB, and two bytes a value while it shrinks. Of the
/// packages none is faster: SkiaSharp takes four bytes a pixel and interlaced pictures twice, libpng reports faults by longjmp, which
/// managed frames do not survive, and libspng is no longer kept up.
/// </remarks>
internal sealed class PngDecoder : IDisposable
{
    /// <summary>The most that deflate makes of a byte.</summary>
    private const long DeflateRatio = 1032;

    /// <summary>Unpacked at once: zlib is slow in the last 258 bytes of what it is asked for, which would be much of a row.</summary>
    private const int UnpackedBytes = 1 << 14;

    private readonly BlockMeans means;
    private readonly PictureBytes pixelRow;
    private readonly PictureBytes filtered;
    private PictureBytes row;
    private PictureBytes above;

    public PngDecoder(PictureReservation reservation)
    {
        means = new BlockMeans(reservation);
        (pixelRow, filtered, row, above) = (new(reservation), new(reservation), new(reservation), new(reservation));
    }

    /// <param name="encoded">The file's bytes, which are moved about.</param>
    /// <param name="channels">1 or 3.</param>
    /// <param name="enough">The share of the pixels a side that is enough.</param>
    /// <param name="maxPixels">That may be held, once it is shrunk.</param>
    /// <param name="into">The result.</param>
    public void Decode(Memory<byte> encoded, int channels, Func<PictureSize, double> enough, long maxPixels, Picture into)
    {
        var encodedBytes = encoded.Length;
        var (header, palette, compressed) = PngChunks.Read(encoded);
        PictureDecoder.RequireCredible(header.Size, encodedBytes, 8 * DeflateRatio / header.PixelBits);
        var shrink = PictureDecoder.Shrink(enough(header.Size));
        PictureDecoder.RequireRoom(header.Size, header.Size.Shrunk(shrink).Pixels, maxPixels);
        var pixels = new PngPixels(header, palette.Span, channels);
        into.Reshape(header.Size, shrink, channels);
        MakeRoom(header, into);
        Unpack(compressed, header, pixels, into);
        if (shrink > 1)
            means.WriteTo(into);
    }

    public void Trim()
    {
        means.Trim();
        foreach (var rows in (PictureBytes[])[pixelRow, filtered, row, above])
            rows.Trim();
    }

    public void Dispose()
    {
        means.Dispose();
        foreach (IDisposable rows in (PictureBytes[])[pixelRow, filtered, row, above])
            rows.Dispose();
    }

    private unsafe void Unpack(ReadOnlyMemory<byte> compressed, PngHeader header, PngPixels pixels, Picture into)
    {
        using var pinned = compressed.Pin();
        var packed = new UnmanagedMemoryStream((byte*)pinned.Pointer, compressed.Length);
        try
        {
            using var data = new BufferedStream(new ZLibStream(packed, CompressionMode.Decompress), UnpackedBytes);
            foreach (var pass in PngPass.All(header))
                DecodePass(pass, data, header, pixels, into);
            if (data.ReadByte() >= 0) // reaching the end checks the sum
                throw new BrokenPictureException("is a damaged PNG file: there are more rows than its header says");
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new BrokenPictureException("is a damaged PNG file: its compressed data is damaged", e);
        }
    }

    private void DecodePass(PngPass pass, Stream data, PngHeader header, PngPixels pixels, Picture into)
    {
        var (height, width) = pass.Share(header.Size);
        if (width == 0)
            return; // has no rows either, not even their filters
        var rowBytes = header.RowBytes(width);
        above.GetSpan()[..(rowBytes + PngFilter.Reach)].Clear();
        for (var y = 0; y < height; y++)
        {
            var stored = filtered.GetSpan();
            if (data.ReadAtLeast(stored[..(1 + rowBytes)], 1 + rowBytes, throwOnEndOfStream: false) <= rowBytes)
                throw new BrokenPictureException("is a damaged PNG file: its rows end early");
            PngFilter.Undo(stored[0], stored[1..], row.GetSpan(), above.GetSpan(), rowBytes, header.FilterBytes);
            Place(pass, pass.Top + (y * pass.StepY), width, pixels, into);
            (above, row) = (row, above);
        }
    }

    /// <summary>Puts the row's pixels where they belong.</summary>
    private void Place(PngPass pass, int y, int width, PngPixels pixels, Picture into)
    {
        if (into.Shrink == 1)
        {
            pixels.Expand(row.GetSpan(), width, into.Values[((y * into.RowBytes) + (pass.Left * into.Channels))..], pass.StepX);
            return;
        }

        var values = pixelRow.GetSpan()[..(width * into.Channels)];
        pixels.Expand(row.GetSpan(), width, values, step: 1);
        means.Add(y, pass.Left, pass.StepX, values);
    }

    private void MakeRoom(PngHeader header, Picture into)
    {
        var rowBytes = 1 + header.RowBytes(header.Size.Width) + PngFilter.Reach;
        foreach (var rows in (PictureBytes[])[filtered, row, above])
            rows.Fit(rowBytes);
        if (into.Shrink == 1)
            return;
        pixelRow.Fit(header.Size.Width * into.Channels);
        means.Begin(into);
    }
}
