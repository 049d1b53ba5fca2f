using Microsoft.Extensions.DependencyInjection;

namespace Orleans.Serialization;

/// <summary>Finds the <see cref="RegisterConverterAttribute"/> converter of a type.</summary>
internal static class SurrogateCopier
{
    public static TypeCopier? Find(Type type, IServiceProvider services)
    {
        foreach (var candidate in ApplicationTypesWithConverters())
        {
            var conversion = candidate.GetInterfaces().FirstOrDefault(i =>
                i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IConverter<,>) && i.GetGenericArguments()[0] == type);
            if (conversion is null)
                continue;
            var converter = ActivatorUtilities.CreateInstance(services, candidate);
            return (TypeCopier)Activator.CreateInstance(typeof(SurrogateCopier<,>).MakeGenericType(conversion.GetGenericArguments()), converter)!;
        }

        return null;
    }

    private static IEnumerable<Type> ApplicationTypesWithConverters() =>
        Runtime.ApplicationTypes.All().Where(type => type.IsDefined(typeof(RegisterConverterAttribute), inherit: false));
}

/// <summary>Copies a value through its surrogate.</summary>
internal sealed class SurrogateCopier<TValue, TSurrogate>(IConverter<TValue, TSurrogate> converter) : TypeCopier
    where TSurrogate : struct
{
    public override object Copy(object original, CopyContext context)
    {
        var surrogate = converter.ConvertToSurrogate((TValue)original);
        return converter.ConvertFromSurrogate((TSurrogate)context.Copy(surrogate)!)!;
    }
}
