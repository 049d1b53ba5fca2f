namespace Cluster.Worker.Data.Pictures;

/// <summary>Some of a PNG's pixels, which are stored like a picture of their own: from (Left, Top), every StepX-th of every
/// StepY-th row.</summary>
internal readonly record struct PngPass(int Left, int Top, int StepX, int StepY)
{
    private static readonly PngPass[] Whole = [new(0, 0, 1, 1)];

    /// <summary>The specification's §8.</summary>
    private static readonly PngPass[] Adam7 =
    [
        new(0, 0, 8, 8), new(4, 0, 8, 8), new(0, 4, 4, 8), new(2, 0, 4, 4), new(0, 2, 2, 4), new(1, 0, 2, 2), new(0, 1, 1, 2),
    ];

    public static ReadOnlySpan<PngPass> All(PngHeader header) => header.Interlaced ? Adam7 : Whole;

    /// <summary>Those of a picture's pixels that it has; of a small one perhaps none.</summary>
    public PictureSize Share(PictureSize size) => new((size.Height - Top + StepY - 1) / StepY, (size.Width - Left + StepX - 1) / StepX);
}
