namespace Cluster.Worker.Data.Pictures;

/// <summary>A picture of bytes, rows from the top, channels interleaved; filled again and again by one thread.</summary>
public sealed class Picture
{
    private byte[] values = [];

    public PictureSize Size { get; private set; }

    public int Channels { get; private set; }

    public int RowBytes => Size.Width * Channels;

    /// <summary>H × W × C.</summary>
    public Span<byte> Values => values.AsSpan(0, Size.Height * RowBytes);

    /// <summary>Makes room for another picture; what was there is lost.</summary>
    public void Reshape(PictureSize size, int channels)
    {
        (Size, Channels) = (size, channels);
        var needed = checked(size.Height * size.Width * channels);
        if (values.Length < needed)
            values = new byte[needed];
    }
}

/// <summary>In pixels.</summary>
public readonly record struct PictureSize(int Height, int Width);
