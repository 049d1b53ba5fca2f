using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Data.Pictures;

/// <summary>How a data set's pictures are decoded.</summary>
/// <param name="Channels">1 or 3, to which they are converted.</param>
/// <param name="MaxPixels">That a decoder holds of one picture, after its own shrinking.</param>
/// <param name="Memory">That all threads share which decode them; null: as much as they take.</param>
public sealed record Decoding(int Channels, long MaxPixels = DataCatalog.DefaultMaxImagePixels, PictureMemory? Memory = null)
{
    /// <summary>As a job says; one that was stored before it could say has the defaults.</summary>
    public static Decoding Of(DataSpec spec, int channels) => new(
        channels,
        spec.MaxImagePixels > 0 ? spec.MaxImagePixels : DataCatalog.DefaultMaxImagePixels,
        new PictureMemory(DataCatalog.DecodingBytes(spec)));
}
