namespace Cluster.Worker.Data.Pictures;

/// <summary>A picture of bytes, rows from the top, channels interleaved; filled again and again by one thread.</summary>
public sealed class Picture : IDisposable
{
    private readonly PictureBytes _values;

    public Picture()
        : this(new PictureReservation())
    {
    }

    internal Picture(PictureReservation reservation) => _values = new PictureBytes(reservation);

    public PictureSize Size { get; private set; }

    /// <summary>Size before its decoder shrank it.</summary>
    public PictureSize StoredSize { get; private set; }

    /// <summary>1, 2, 4 or 8: the factor by which it did.</summary>
    public int Shrink { get; private set; }

    public int Channels { get; private set; }

    public int RowBytes => Size.Width * Channels;

    /// <summary>H × W × C.</summary>
    public Span<byte> Values => _values.GetSpan()[..(Size.Height * RowBytes)];

    /// <summary>Makes room for another picture; what was there is lost.</summary>
    public void Reshape(PictureSize size, int channels) => Reshape(size, 1, channels);

    /// <summary>The same for one that a decoder shrinks.</summary>
    public void Reshape(PictureSize storedSize, int shrink, int channels)
    {
        (StoredSize, Shrink, Channels) = (storedSize, shrink, channels);
        Size = storedSize.Shrunk(shrink);
        _values.Fit(checked(Size.Height * Size.Width * channels));
    }

    public void Dispose() => ((IDisposable)_values).Dispose();

    /// <summary>Nobody looks at it any more.</summary>
    internal void Trim()
    {
        _values.Trim();
        if (_values.GetSpan().IsEmpty)
            Size = default;
    }
}

/// <summary>In pixels.</summary>
public readonly record struct PictureSize(int Height, int Width)
{
    public long Pixels => (long)Height * Width;

    /// <summary>Every so many pixels a side made one; the last ones may be of fewer.</summary>
    public PictureSize Shrunk(int factor) => new((Height + factor - 1) / factor, (Width + factor - 1) / factor);
}
