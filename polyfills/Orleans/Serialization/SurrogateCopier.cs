using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;

namespace Orleans.Serialization;

/// <summary>Finds the <see cref="RegisterConverterAttribute"/> converter of a type.</summary>
internal static class SurrogateCopier
{
    private static readonly ConcurrentDictionary<Assembly, (Type Converter, Type Conversion)[]> ByAssembly = new();

    public static TypeCopier? Find(Type type, IServiceProvider services)
    {
        foreach (var (converter, conversion) in ApplicationTypes.Assemblies().SelectMany(assembly => ByAssembly.GetOrAdd(assembly, Of)))
        {
            if (conversion.GetGenericArguments()[0] != type)
                continue;
            var instance = ActivatorUtilities.CreateInstance(services, converter);
            return (TypeCopier)Activator.CreateInstance(typeof(SurrogateCopier<,>).MakeGenericType(conversion.GetGenericArguments()), instance)!;
        }

        return null;
    }

    private static (Type Converter, Type Conversion)[] Of(Assembly assembly) =>
    [
        .. from type in ApplicationTypes.Of(assembly)
           where type.IsDefined(typeof(RegisterConverterAttribute), inherit: false)
           from conversion in type.GetInterfaces()
           where conversion.IsGenericType && conversion.GetGenericTypeDefinition() == typeof(IConverter<,>)
           select (type, conversion),
    ];
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
