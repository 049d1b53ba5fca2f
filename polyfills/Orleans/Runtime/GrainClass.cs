using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Concurrency;
using Orleans.Configuration;

namespace Orleans.Runtime;

/// <summary>A class that implements grains, with what its attributes say.</summary>
internal sealed class GrainClass(Type type)
{
    private readonly ObjectFactory _create = ActivatorUtilities.CreateFactory(type, Type.EmptyTypes);
    private readonly TimeSpan? _collectionAge =
        type.IsDefined(typeof(KeepAliveAttribute), inherit: true) ? TimeSpan.MaxValue
        : type.GetCustomAttribute<CollectionAgeLimitAttribute>() is not { } limit ? null
        : limit.AlwaysActive ? TimeSpan.MaxValue
        : limit.AgeLimit;

    public bool Reentrant { get; } = type.IsDefined(typeof(ReentrantAttribute), inherit: true);

    /// <summary>The first half of a grain's id: the class's name in lower case, without <c>Grain</c>.</summary>
    public string TypeName { get; } =
        (type.Name.EndsWith(nameof(Grain), StringComparison.OrdinalIgnoreCase) ? type.Name[..^nameof(Grain).Length] : type.Name)
        .ToLowerInvariant();

    public string FullName { get; } = type.FullName ?? type.Name;

    public TimeSpan CollectionAge(GrainCollectionOptions options) => _collectionAge ?? options.CollectionAge;

    public object Create(IServiceProvider services) => _create(services, null);
}

/// <summary>An address: which grain, and of which class.</summary>
internal sealed record GrainTarget(GrainId Id, GrainClass Class);

/// <summary>Finds the class behind a grain interface, among all assemblies of the process that reference this one.</summary>
internal sealed class GrainClasses
{
    private readonly ConcurrentDictionary<(Type Interface, string? Prefix), GrainClass> _byInterface = new();
    private readonly ConcurrentDictionary<Type, GrainClass> _byType = new();

    public GrainClass Resolve(Type grainInterface, string? classNamePrefix) =>
        _byInterface.GetOrAdd((grainInterface, classNamePrefix), Find);

    private GrainClass Find((Type Interface, string? Prefix) key)
    {
        var candidates = ApplicationTypes.All()
            .Where(type => type is { IsClass: true, IsAbstract: false, IsGenericTypeDefinition: false } && key.Interface.IsAssignableFrom(type))
            .Where(type => key.Prefix is null || type.FullName!.StartsWith(key.Prefix, StringComparison.Ordinal))
            .ToArray();
        if (candidates.Length > 1)
        {
            // As the genuine package does: IFoo means Foo where several classes implement it.
            var namesake = candidates.Where(type => key.Interface.Name == "I" + type.Name).ToArray();
            candidates = namesake.Length == 1 ? namesake : candidates;
        }

        return candidates switch
        {
            [var only] => _byType.GetOrAdd(only, type => new GrainClass(type)),
            [] => throw new ArgumentException($"Could not find an implementation for interface {key.Interface}.", nameof(key)),
            _ => throw new ArgumentException(
                $"Unable to resolve grain class for interface {key.Interface}: there are {string.Join(", ", candidates.Select(type => type.FullName))}.", nameof(key)),
        };
    }
}

/// <summary>The types that may be grains or converters.</summary>
internal static class ApplicationTypes
{
    private static readonly ConcurrentDictionary<Assembly, Type[]> ByAssembly = new();

    public static IEnumerable<Type> All() => Assemblies().SelectMany(Of);

    /// <summary>Those loaded by now; more may follow.</summary>
    public static Assembly[] Assemblies() => AppDomain.CurrentDomain.GetAssemblies();

    public static Type[] Of(Assembly assembly) => ByAssembly.GetOrAdd(assembly, static assembly =>
    {
        var self = typeof(ApplicationTypes).Assembly.GetName().Name;
        var concerned = !assembly.IsDynamic && Array.Exists(assembly.GetReferencedAssemblies(), reference => reference.Name == self);
        return concerned ? assembly.GetTypes() : [];
    });
}
