using System.Globalization;
using Orleans.Runtime;

namespace Orleans;

/// <summary>The identity of a grain or of a reference to one.</summary>
public static class GrainExtensions
{
    /// <summary>A reference to this grain, to hand to others: <c>this</c> itself must never leave a grain.</summary>
    /// <exception cref="ArgumentException">The object is neither a grain nor a reference to one.</exception>
    public static TGrainInterface AsReference<TGrainInterface>(this IAddressable grain)
    {
        ArgumentNullException.ThrowIfNull(grain);
        return grain switch
        {
            GrainProxy proxy => (TGrainInterface)proxy.Silo.Reference(typeof(TGrainInterface), proxy.Target),
            IGrainBase { GrainContext: Activation activation } => (TGrainInterface)activation.Silo.Reference(typeof(TGrainInterface), activation.Target),
            _ => throw NotAGrain(grain),
        };
    }

    /// <inheritdoc cref="AsReference{TGrainInterface}(IAddressable)"/>
    public static TGrainInterface Cast<TGrainInterface>(this IAddressable grain) => grain.AsReference<TGrainInterface>();

    public static GrainId GetGrainId(this IAddressable grain)
    {
        ArgumentNullException.ThrowIfNull(grain);
        return grain switch
        {
            GrainProxy proxy => proxy.Target.Id,
            IGrainBase { GrainContext: { } context } => context.GrainId,
            _ => throw NotAGrain(grain),
        };
    }

    /// <summary>The key of an <see cref="IGrainWithGuidKey"/>.</summary>
    /// <exception cref="InvalidOperationException">The key is no <see cref="Guid"/>.</exception>
    public static Guid GetPrimaryKey(this IAddressable grain)
    {
        var id = grain.GetGrainId();
        return Guid.TryParseExact(id.KeyText, "N", out var key) ? key : throw WrongKey(id, "GUID");
    }

    /// <summary>The key of an <see cref="IGrainWithIntegerKey"/>.</summary>
    /// <exception cref="InvalidOperationException">The key is no integer.</exception>
    public static long GetPrimaryKeyLong(this IAddressable grain)
    {
        var id = grain.GetGrainId();
        return long.TryParse(id.KeyText, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var key) ? key : throw WrongKey(id, "integer");
    }

    /// <summary>The key of an <see cref="IGrainWithStringKey"/>; of other grains the key as it stands in the grain's id.</summary>
    public static string GetPrimaryKeyString(this IAddressable grain) => grain.GetGrainId().KeyText;

    private static ArgumentException NotAGrain(IAddressable grain) =>
        new($"{grain.GetType()} is neither a grain made by the runtime nor a reference to one.", nameof(grain));

    private static InvalidOperationException WrongKey(GrainId id, string kind) =>
        new($"Unable to extract {kind} key from grain id {id}");
}
