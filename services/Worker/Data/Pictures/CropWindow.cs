namespace Cluster.Worker.Data.Pictures;

/// <summary>What of a picture a network sees, in pixels of the stored picture: output pixel (x, y) covers
/// [Left + x·StepX, Left + (x + 1)·StepX) × [Top + y·StepY, Top + (y + 1)·StepY).</summary>
/// <param name="Bounds">The filter reads nothing outside.</param>
public readonly record struct CropWindow(double Left, double Top, double StepX, double StepY, PixelBox Bounds)
{
    /// <summary>A box of the picture, cut out and then resized to size × size.</summary>
    public static CropWindow OfBox(PixelBox box, int size) =>
        new(box.Left, box.Top, (double)box.Width / size, (double)box.Height / size, box);

    /// <summary>The pixels a side that suffice, as a share of the stored ones: at least one for each output pixel.</summary>
    public double Enough => 1 / Math.Min(StepX, StepY);

    /// <summary>The same window in pixels of the picture as its decoder shrank it.</summary>
    public CropWindow In(Picture picture)
    {
        if (picture.Shrink == 1)
            return this;
        var factor = 1.0 / picture.Shrink;
        var (left, top) = (Bounds.Left / picture.Shrink, Bounds.Top / picture.Shrink);
        var right = Math.Min(picture.Size.Width, (int)Math.Ceiling((Bounds.Left + Bounds.Width) * factor));
        var bottom = Math.Min(picture.Size.Height, (int)Math.Ceiling((Bounds.Top + Bounds.Height) * factor));
        return new CropWindow(
            Left * factor, Top * factor, StepX * factor, StepY * factor, new PixelBox(left, top, right - left, bottom - top));
    }
}

/// <summary>Whole pixels.</summary>
public readonly record struct PixelBox(int Left, int Top, int Width, int Height)
{
    public static PixelBox Whole(PictureSize size) => new(0, 0, size.Width, size.Height);
}
