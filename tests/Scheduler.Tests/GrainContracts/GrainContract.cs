using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Reflection;
using Orleans;

namespace Cluster.Scheduler.Tests.GrainContracts;

/// <summary>
/// By which types the contract is spoken. The tests of the check itself speak a look-alike, which no code generator acts on.
/// </summary>
internal sealed record GrainVocabulary(Type GrainRoot, Type GenerateSerializer, Type Id, Type RegisterConverter, Type Converter)
{
    public static GrainVocabulary Orleans { get; } =
        new(typeof(IGrain), typeof(GenerateSerializerAttribute), typeof(IdAttribute), typeof(RegisterConverterAttribute),
            typeof(IConverter<,>));
}

/// <summary>
/// What may cross a grain call: values that another machine can read and that nobody can change. Works by reflection on whatever grains an
/// assembly has, with either implementation of Orleans.
/// </summary>
internal sealed class GrainContract(Assembly assembly, GrainVocabulary words)
{
    private const BindingFlags Declared = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private static readonly HashSet<Type> Plain =
    [
        typeof(string), typeof(decimal), typeof(Guid), typeof(DateTime), typeof(DateTimeOffset), typeof(TimeSpan), typeof(DateOnly),
        typeof(TimeOnly), typeof(Uri), typeof(Version), typeof(Half), typeof(Int128), typeof(UInt128),
    ];

    private static readonly HashSet<Type> ImmutableShapes =
    [
        typeof(Nullable<>), typeof(KeyValuePair<,>), typeof(ValueTuple<,>), typeof(ValueTuple<,,>), typeof(ValueTuple<,,,>),
        typeof(ImmutableArray<>),
        typeof(ImmutableList<>), typeof(ImmutableHashSet<>), typeof(ImmutableSortedSet<>), typeof(ImmutableDictionary<,>),
        typeof(ImmutableSortedDictionary<,>), typeof(FrozenSet<>), typeof(FrozenDictionary<,>),
    ];

    private readonly HashSet<Type> _seen = [];
    private readonly List<string> _violations = [];

    public IEnumerable<Type> GrainInterfaces =>
        assembly.GetTypes().Where(type => type.IsInterface && type != words.GrainRoot && words.GrainRoot.IsAssignableFrom(type));

    /// <summary>Each breach of the contract in words; none when all is well.</summary>
    public IReadOnlyList<string> Violations()
    {
        foreach (var method in GrainInterfaces.SelectMany(type => type.GetMethods()))
        {
            var place = $"{method.DeclaringType!.Name}.{method.Name}";
            foreach (var parameter in method.GetParameters().Where(parameter => parameter.ParameterType != typeof(CancellationToken)))
                CheckValue(parameter.ParameterType, $"{place}({parameter.Name})");
            CheckReturn(method.ReturnType, place);
        }

        foreach (var (exception, thrower) in ThrownExceptions.Of(assembly, words.GrainRoot))
            CheckException(exception, $"thrown in {thrower}");
        return _violations;
    }

    private void CheckReturn(Type type, string place)
    {
        if (type == typeof(Task) || type == typeof(ValueTask))
            return;
        var definition = type.IsGenericType ? type.GetGenericTypeDefinition() : null;
        if (definition == typeof(Task<>) || definition == typeof(ValueTask<>))
            CheckValue(type.GetGenericArguments()[0], $"{place} result");
        else
            _violations.Add($"{place} returns {type}, not a task");
    }

    private void CheckValue(Type type, string place)
    {
        if (type.IsPrimitive || type.IsEnum || Plain.Contains(type) || (type.IsInterface && words.GrainRoot.IsAssignableFrom(type)))
            return;
        if (type.IsGenericType && ImmutableShapes.Contains(type.GetGenericTypeDefinition()))
        {
            foreach (var argument in type.GetGenericArguments())
                CheckValue(argument, $"{place} → {argument.Name}");
            return;
        }

        if (!_seen.Add(type))
            return;
        if (SurrogateOf(type) is { } surrogate)
        {
            CheckUnchangeable(type, place);
            CheckValue(surrogate, $"{place} → surrogate {surrogate.Name}");
        }
        else if (type.IsDefined(words.GenerateSerializer, inherit: false))
        {
            CheckUnchangeable(type, place);
            CheckMembers(type, place);
            foreach (var derived in type.Assembly.GetTypes().Where(candidate => candidate.BaseType == type))
                CheckValue(derived, $"{place} → {derived.Name}");
        }
        else
        {
            _violations.Add($"{place}: {type} is neither an immutable [GenerateSerializer] type, nor one with a surrogate, "
                + "nor an immutable collection");
        }
    }

    private void CheckException(Type type, string place)
    {
        if (!_seen.Add(type))
            return;
        if (type.IsDefined(words.GenerateSerializer, inherit: false))
            CheckMembers(type, place);
        else
            _violations.Add($"{place}: {type} is not [GenerateSerializer]");
    }

    private void CheckUnchangeable(Type type, string place)
    {
        foreach (var field in FieldsOf(type).Where(field => !field.IsInitOnly))
            _violations.Add($"{place}: {type.Name}.{NameOf(field)} can be changed; make it init-only or readonly");
    }

    private void CheckMembers(Type type, string place)
    {
        foreach (var level in FieldsOf(type).GroupBy(field => field.DeclaringType!))
        {
            if (!level.Key.IsDefined(words.GenerateSerializer, inherit: false))
                _violations.Add($"{place}: {level.Key}, a base of {type}, is not [GenerateSerializer]");
            var ids = new HashSet<uint>();
            foreach (var field in level)
            {
                var member = $"{level.Key.Name}.{NameOf(field)}";
                if (IdOf(field) is not { } id)
                    _violations.Add($"{place}: {member} has no [Id(n)]");
                else if (!ids.Add(id))
                    _violations.Add($"{place}: {member} has [Id({id})], as another member of {level.Key.Name} does");
                CheckValue(field.FieldType, $"{place} → {member}");
            }
        }
    }

    private Type? SurrogateOf(Type type) => assembly.GetTypes()
        .Where(candidate => candidate.IsDefined(words.RegisterConverter, inherit: false))
        .SelectMany(candidate => candidate.GetInterfaces())
        .FirstOrDefault(i => i.IsGenericType && i.GetGenericTypeDefinition() == words.Converter && i.GetGenericArguments()[0] == type)
        ?.GetGenericArguments()[1];

    private static IEnumerable<FieldInfo> FieldsOf(Type type)
    {
        for (var level = type; level is not null
            && level.Namespace?.StartsWith("System", StringComparison.Ordinal) != true; level = level.BaseType)
        {
            foreach (var field in level.GetFields(Declared).Where(field => !field.IsDefined(typeof(NonSerializedAttribute))))
                yield return field;
        }
    }

    private uint? IdOf(FieldInfo field)
    {
        IEnumerable<MemberInfo?> holders = [field, field.DeclaringType!.GetProperty(NameOf(field), Declared)];
        var id = holders.OfType<MemberInfo>().SelectMany(member => member.GetCustomAttributesData())
            .FirstOrDefault(data => data.AttributeType == words.Id);
        return (uint?)id?.ConstructorArguments[0].Value;
    }

    // An automatic property's field is called <Name>k__BackingField.
    private static string NameOf(FieldInfo field) => field.Name.StartsWith('<') ? field.Name[1..field.Name.IndexOf('>')] : field.Name;
}
