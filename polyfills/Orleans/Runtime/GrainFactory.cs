using System.Globalization;

namespace Orleans.Runtime;

/// <summary>Keys are written as the genuine package writes them, so that ids in logs look alike.</summary>
internal sealed class GrainFactory(Silo silo) : IClusterClient
{
    public TGrainInterface GetGrain<TGrainInterface>(Guid primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithGuidKey =>
        Reference<TGrainInterface>(primaryKey.ToString("N"), grainClassNamePrefix);

    public TGrainInterface GetGrain<TGrainInterface>(long primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithIntegerKey =>
        Reference<TGrainInterface>(primaryKey.ToString("X", CultureInfo.InvariantCulture), grainClassNamePrefix);

    public TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null)
        where TGrainInterface : IGrainWithStringKey
    {
        if (string.IsNullOrWhiteSpace(primaryKey))
            throw new ArgumentException("A grain's key cannot be empty.", nameof(primaryKey));
        return Reference<TGrainInterface>(primaryKey, grainClassNamePrefix);
    }

    private TGrainInterface Reference<TGrainInterface>(string key, string? classNamePrefix) =>
        (TGrainInterface)silo.Reference(typeof(TGrainInterface), key, classNamePrefix);
}
