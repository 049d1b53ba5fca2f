namespace Cluster.Worker.Data.Pictures;

/// <summary>A picture of bytes, rows from the top, channels interleaved; filled again and again by one thread.</summary>
public sealed class Picture
{
    private byte[] values = [];

    public PictureSize Size { get; private set; }

    /// <summary>Size before its decoder shrank it.</summary>
    public PictureSize StoredSize { get; private set; }

    /// <summary>1, 2, 4 or 8: the factor by which it did.</summary>
    public int Shrink { get; private set; }

    public int Channels { get; private set; }

    public int RowBytes => Size.Width * Channels;

    /// <summary>H × W × C.</summary>
    public Span<byte> Values => values.AsSpan(0, Size.Height * RowBytes);

    /// <summary>Makes room for another picture; what was there is lost.</summary>
    public void Reshape(PictureSize size, int channels) => Reshape(size, 1, channels);

    /// <summary>The same for one that a decoder shrinks.</summary>
    public void Reshape(PictureSize storedSize, int shrink, int channels)
    {
        (StoredSize, Shrink, Channels) = (storedSize, shrink, channels);
        Size = new PictureSize((storedSize.Height + shrink - 1) / shrink, (storedSize.Width + shrink - 1) / shrink);
        var needed = checked(Size.Height * Size.Width * channels);
        if (values.Length < needed)
            values = new byte[needed];
    }
}

/// <summary>In pixels.</summary>
public readonly record struct PictureSize(int Height, int Width)
{
    public long Pixels => (long)Height * Width;
}
