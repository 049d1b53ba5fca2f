namespace Orleans;

/// <summary>Makes references to grains. A reference is an address: making one neither creates nor wakes the grain.</summary>
public interface IGrainFactory
{
    /// <param name="primaryKey">The grain's key.</param>
    /// <param name="grainClassNamePrefix">Prefix of the full name of the class, where several implement the interface.</param>
    /// <exception cref="ArgumentException">No class, or more than one, implements <typeparamref name="TGrainInterface"/>.</exception>
    TGrainInterface GetGrain<TGrainInterface>(Guid primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithGuidKey;

    /// <inheritdoc cref="GetGrain{TGrainInterface}(Guid, string?)"/>
    TGrainInterface GetGrain<TGrainInterface>(long primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithIntegerKey;

    /// <inheritdoc cref="GetGrain{TGrainInterface}(Guid, string?)"/>
    TGrainInterface GetGrain<TGrainInterface>(string primaryKey, string? grainClassNamePrefix = null) where TGrainInterface : IGrainWithStringKey;
}

/// <summary>The factory as code outside grains asks for it. In one process both are the same object.</summary>
public interface IClusterClient : IGrainFactory;
