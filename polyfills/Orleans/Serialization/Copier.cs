using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;

namespace Orleans.Serialization;

/// <summary>
/// Copies what crosses a grain call, and refuses what could not be sent to another machine. Plans are made once a type, by reflection.
/// </summary>
internal sealed class Copier(IServiceProvider services)
{
    private readonly ConcurrentDictionary<Type, TypeCopier> _plans = new();

    public object?[] CopyArguments(GrainMethod method, object?[] arguments)
    {
        var copies = new object?[arguments.Length];
        for (var i = 0; i < arguments.Length; i++)
        {
            try
            {
                copies[i] = arguments[i] is CancellationToken token ? token : new CopyContext(this).Copy(arguments[i]);
            }
            catch (CodecNotFoundException exception)
            {
                throw exception.Within($"{method.Name}, argument '{method.Parameters[i]}'");
            }
        }

        return copies;
    }

    public TResult CopyResult<TResult>(GrainMethod method, TResult result)
    {
        try
        {
            return (TResult)new CopyContext(this).Copy(result)!;
        }
        catch (CodecNotFoundException exception)
        {
            throw exception.Within($"{method.Name}, result");
        }
    }

    public Dictionary<string, object>? CopyRequestContext(Dictionary<string, object>? values)
    {
        if (values is null)
            return null;
        var context = new CopyContext(this);
        var copies = new Dictionary<string, object>(values.Count);
        foreach (var (key, value) in values)
        {
            try
            {
                copies[key] = context.Copy(value)!;
            }
            catch (CodecNotFoundException exception)
            {
                throw exception.Within($"RequestContext '{key}'");
            }
        }

        return copies;
    }

    /// <summary>Never throws: an exception that cannot be sent is replaced by one that says so and carries its text.</summary>
    public Exception CopyException(Exception exception) => ExceptionCopier.Copy(exception, new CopyContext(this));

    public TypeCopier PlanFor(Type type) => _plans.GetOrAdd(type, MakePlan);

    private TypeCopier MakePlan(Type type)
    {
        if (LeafTypes.Contains(type))
            return SameCopier.Instance;
        if (SurrogateCopier.Find(type, services) is { } surrogate)
            return surrogate;
        if (typeof(Exception).IsAssignableFrom(type))
            return ExceptionCopier.Instance;
        if (type.IsDefined(typeof(GenerateSerializerAttribute), inherit: false))
            return new AnnotatedTypeCopier(type);
        return CollectionCopiers.Find(type) ?? throw CodecNotFoundException.For(type);
    }
}

/// <summary>How values of one type are copied.</summary>
internal abstract class TypeCopier
{
    public abstract object Copy(object original, CopyContext context);
}

/// <summary>For values that nobody can change.</summary>
internal sealed class SameCopier : TypeCopier
{
    public static readonly SameCopier Instance = new();

    public override object Copy(object original, CopyContext context) => original;
}

/// <summary>One copying of a graph: an object that occurs twice occurs twice in the copy, as the same object.</summary>
internal sealed class CopyContext(Copier copier)
{
    // A graph so deep is a mistake, and would end the process by a stack overflow.
    private const int MaxDepth = 500;

    private Dictionary<object, object>? _copies;
    private int _depth;

    public object? Copy(object? original)
    {
        if (original is null)
            return null;
        var plan = copier.PlanFor(original.GetType());
        if (plan is SameCopier)
            return original;
        if (_copies is not null && _copies.TryGetValue(original, out var known))
            return known;
        if (++_depth > MaxDepth)
            throw new CodecNotFoundException($"{original.GetType()} is nested more than {MaxDepth} deep and cannot cross a grain call.");
        var copy = plan.Copy(original, this);
        _depth--;
        Record(original, copy);
        return copy;
    }

    /// <summary>Call before copying members, so that a member may lead back to the whole.</summary>
    public void Record(object original, object copy)
    {
        if (!original.GetType().IsValueType)
            (_copies ??= new(ReferenceEqualityComparer.Instance))[original] = copy;
    }
}

/// <summary>Types whose values are immutable and known to every Orleans.</summary>
internal static class LeafTypes
{
    private static readonly HashSet<Type> Known =
    [
        typeof(object), typeof(string), typeof(decimal), typeof(Guid), typeof(DateTime), typeof(DateTimeOffset), typeof(TimeSpan), typeof(DateOnly),
        typeof(TimeOnly), typeof(Half), typeof(Int128), typeof(UInt128), typeof(System.Numerics.BigInteger), typeof(Uri), typeof(Version),
        typeof(System.Net.IPAddress), typeof(System.Net.IPEndPoint), typeof(System.Globalization.CultureInfo), typeof(GrainId), typeof(NoResult),
    ];

    public static bool Contains(Type type) =>
        type.IsPrimitive || type.IsEnum || Known.Contains(type) || typeof(Type).IsAssignableFrom(type)
        || typeof(System.Net.IPAddress).IsAssignableFrom(type) || typeof(GrainProxy).IsAssignableFrom(type);
}
