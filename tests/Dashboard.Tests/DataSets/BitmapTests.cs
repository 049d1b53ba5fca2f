using Cluster.Dashboard.DataSets;

namespace Cluster.Dashboard.Tests.DataSets;

public sealed class BitmapTests
{
    [Fact]
    public void Pixels_AreStoredFromTheBottom_BlueFirst_InRowsOfFours()
    {
        var file = Bitmap.Of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], size: 2, channels: 3);

        file.Length.ShouldBe(54 + (2 * 8));
        file[54..].ShouldBe(new byte[] { 9, 8, 7, 12, 11, 10, 0, 0, 3, 2, 1, 6, 5, 4, 0, 0 });
    }

    [Fact]
    public void GreyPixels_HaveOneLevelInAllColours() =>
        Bitmap.Of([7], size: 1, channels: 1)[54..].ShouldBe(new byte[] { 7, 7, 7, 0 });
}
