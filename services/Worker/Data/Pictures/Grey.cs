namespace Cluster.Worker.Data.Pictures;

/// <summary>ITU-R BT.601's luma, as JPEG's Y and PIL's "L".</summary>
internal static class Grey
{
    public static byte Of(int red, int green, int blue) => (byte)(((19595 * red) + (38470 * green) + (7471 * blue) + 0x8000) >> 16);
}
