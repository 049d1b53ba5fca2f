using System.Runtime.InteropServices;

namespace Cluster.Worker.Data.Pictures;

/// <summary>Makes one pixel of every block of a picture, whose pixels may come in any order. For one thread.</summary>
internal sealed class BlockMeans(PictureReservation reservation) : IDisposable
{
    // A block has at most 8 × 8 pixels: 64 · 255 fits.
    private readonly PictureBytes _sums = new(reservation);
    private PictureSize _size;
    private int _channels;
    private int _blockBits;

    /// <param name="picture">Of which size and shrunk by how much; a power of two.</param>
    public void Begin(Picture picture)
    {
        (_size, _channels, _blockBits) = (picture.Size, picture.Channels, int.Log2(picture.Shrink));
        var bytes = checked(_size.Height * _size.Width * _channels * sizeof(ushort));
        _sums.Fit(bytes);
        _sums.GetSpan()[..bytes].Clear();
    }

    /// <summary>Adds pixels of a row.</summary>
    /// <param name="y">The row, in the stored picture.</param>
    /// <param name="firstX">Where the first pixel is.</param>
    /// <param name="stepX">From there to the next.</param>
    /// <param name="values">Of the pixels, channels interleaved.</param>
    public void Add(int y, int firstX, int stepX, ReadOnlySpan<byte> values)
    {
        var sums = Sums().Slice((y >> _blockBits) * _size.Width * _channels, _size.Width * _channels);
        if (_channels == 1)
        {
            for (var i = 0; i < values.Length; i++)
                sums[(firstX + (i * stepX)) >> _blockBits] += values[i];
            return;
        }

        for (var (i, x) = (0, firstX); i < values.Length; (i, x) = (i + 3, x + stepX))
        {
            var block = 3 * (x >> _blockBits);
            sums[block] += values[i];
            sums[block + 1] += values[i + 1];
            sums[block + 2] += values[i + 2];
        }
    }

    public void WriteTo(Picture picture)
    {
        var (stored, block) = (picture.StoredSize, picture.Shrink);
        var sums = Sums();
        var values = picture.Values;
        for (var y = 0; y < _size.Height; y++)
        {
            var rows = Math.Min(block, stored.Height - (y * block));
            for (var x = 0; x < _size.Width; x++)
            {
                var pixels = rows * Math.Min(block, stored.Width - (x * block));
                for (var i = ((y * _size.Width) + x) * _channels; i < ((y * _size.Width) + x + 1) * _channels; i++)
                    values[i] = (byte)((sums[i] + (pixels / 2)) / pixels);
            }
        }
    }

    public void Trim() => _sums.Trim();

    public void Dispose() => ((IDisposable)_sums).Dispose();

    private Span<ushort> Sums() => MemoryMarshal.Cast<byte, ushort>(_sums.GetSpan());
}
