using Cluster.Contracts.V1;
using Cluster.Models;

namespace Cluster.Worker.Data.Pictures;

/// <summary>Which window of a picture of any size a network sees.</summary>
internal static class CropChoice
{
    /// <summary>Tries for a box of the wanted area and ratio, before the middle of the picture is taken.</summary>
    private const int Attempts = 10;

    // Words of the sample's random stream; the first three are those of SampleView.
    private const ulong WindowWords = 16;

    /// <summary>
    /// The picture with its shorter side resized to <paramref name="shorterSide"/>, and of that size × size pixels from (left, top) on.
    /// </summary>
    /// <param name="place">Picks left and top: gets how many there are to choose from.</param>
    public static CropWindow OfResized(PictureSize picture, int shorterSide, int size, Func<int, int, (int Left, int Top)> place)
    {
        var (width, height) = picture.Width <= picture.Height
            ? (shorterSide, Math.Max(shorterSide, (int)((long)shorterSide * picture.Height / picture.Width)))
            : (Math.Max(shorterSide, (int)((long)shorterSide * picture.Width / picture.Height)), shorterSide);
        var (stepX, stepY) = ((double)picture.Width / width, (double)picture.Height / height);
        var (left, top) = place(width - size + 1, height - size + 1);
        return new CropWindow(left * stepX, top * stepY, stepX, stepY, PixelBox.Whole(picture));
    }

    /// <summary>The middle, as torchvision's CenterCrop rounds it.</summary>
    public static (int Left, int Top) Middle(int lefts, int tops) =>
        ((int)Math.Round((lefts - 1) / 2.0), (int)Math.Round((tops - 1) / 2.0));

    /// <summary>The four corners and the middle: Krizhevsky et al. 2012, §4.1.</summary>
    public static (int Left, int Top) CornerOrMiddle(int which, int lefts, int tops) =>
        which == 4 ? Middle(lefts, tops) : ((which % 2) * (lefts - 1), (which / 2) * (tops - 1));

    /// <summary>A place out of all, at random.</summary>
    public static (int Left, int Top) Anywhere(ulong key, int lefts, int tops) =>
        (CounterRandom.Below(key, WindowWords, lefts), CounterRandom.Below(key, WindowWords + 1, tops));

    /// <summary>
    /// A box of a random share of the picture's area and a random ratio of its sides, anywhere in it: Szegedy et al. 2014, arXiv:1409.4842,
    /// §6; as torchvision's RandomResizedCrop draws it.
    /// </summary>
    public static PixelBox RandomBox(ulong key, PictureSize picture, Augmentation augmentation)
    {
        var (minRatio, maxRatio) = (1 / augmentation.MaxRatio, augmentation.MaxRatio);
        for (var attempt = 0UL; attempt < Attempts; attempt++)
        {
            var word = WindowWords + (4 * attempt);
            var area = picture.Pixels * Between(augmentation.MinScale, 1, CounterRandom.Uniform(key, word));
            var ratio = Math.Exp(Between(Math.Log(minRatio), Math.Log(maxRatio), CounterRandom.Uniform(key, word + 1)));
            var (width, height) = ((int)Math.Round(Math.Sqrt(area * ratio)), (int)Math.Round(Math.Sqrt(area / ratio)));
            if (width >= 1 && width <= picture.Width && height >= 1 && height <= picture.Height)
            {
                return new PixelBox(
                    CounterRandom.Below(key, word + 2, picture.Width - width + 1),
                    CounterRandom.Below(key, word + 3, picture.Height - height + 1), width, height);
            }
        }

        return MiddleBox(picture, minRatio, maxRatio);
    }

    private static PixelBox MiddleBox(PictureSize picture, double minRatio, double maxRatio)
    {
        var (width, height) = (picture.Width, picture.Height);
        if ((double)width / height < minRatio)
            height = Math.Max(1, (int)Math.Round(width / minRatio));
        else if ((double)width / height > maxRatio)
            width = Math.Max(1, (int)Math.Round(height * maxRatio));
        return new PixelBox((picture.Width - width) / 2, (picture.Height - height) / 2, width, height);
    }

    private static double Between(double low, double high, double share) => low + ((high - low) * share);
}
