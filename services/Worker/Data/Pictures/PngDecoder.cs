using System.IO.Compression;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Data.Pictures;

/// <summary>PNG: W3C PNG specification, third edition. Every colour type and depth, interlaced or not; 16 bits are cut to 8, transparency
/// is left out. For one thread.</summary>
/// <remarks>Rows become pixels one at a time, so beside the picture it takes three rows and some KiB. Of the packages none is faster:
/// SkiaSharp takes four bytes a pixel and interlaced pictures twice, libpng reports faults by longjmp, which managed frames do not
/// survive, and libspng is no longer kept up.</remarks>
internal sealed class PngDecoder
{
    /// <summary>The most that deflate makes of a byte.</summary>
    private const long DeflateRatio = 1032;

    /// <summary>Unpacked at once: zlib is slow in the last 258 bytes of what it is asked for, which would be much of a row.</summary>
    private const int UnpackedBytes = 1 << 14;

    private byte[] filtered = [];
    private byte[] row = [];
    private byte[] above = [];

    /// <param name="encoded">The file's bytes, which are moved about.</param>
    /// <param name="channels">1 or 3.</param>
    /// <param name="into">The result.</param>
    public void Decode(Memory<byte> encoded, int channels, Picture into)
    {
        var encodedBytes = encoded.Length;
        var (header, palette, compressed) = PngChunks.Read(encoded);
        PictureDecoder.RequireCredible(header.Size, encodedBytes, 8 * DeflateRatio / header.PixelBits);
        var pixels = new PngPixels(header, palette.Span, channels);
        into.Reshape(header.Size, channels);
        MakeRoom(header);
        try
        {
            MemoryMarshal.TryGetArray<byte>(compressed, out var bytes);
            var packed = new MemoryStream(bytes.Array!, bytes.Offset, bytes.Count);
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
        above.AsSpan(0, rowBytes + PngFilter.Reach).Clear();
        for (var y = 0; y < height; y++)
        {
            if (data.ReadAtLeast(filtered.AsSpan(0, 1 + rowBytes), 1 + rowBytes, throwOnEndOfStream: false) <= rowBytes)
                throw new BrokenPictureException("is a damaged PNG file: its rows end early");
            PngFilter.Undo(filtered[0], filtered.AsSpan(1), row, above, rowBytes, header.FilterBytes);
            var first = ((pass.Top + (y * pass.StepY)) * into.RowBytes) + (pass.Left * into.Channels);
            pixels.Expand(row, width, into.Values[first..], pass.StepX);
            (above, row) = (row, above);
        }
    }

    private void MakeRoom(PngHeader header)
    {
        var needed = 1 + header.RowBytes(header.Size.Width) + PngFilter.Reach;
        if (row.Length < needed)
            (filtered, row, above) = (new byte[needed], new byte[needed], new byte[needed]);
    }
}
