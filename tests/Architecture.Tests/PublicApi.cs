using System.Reflection;
using System.Runtime.CompilerServices;

namespace Cluster.Architecture.Tests;

/// <summary>What code outside an assembly can name in it, as the lines of <c>polyfills/API.md</c>, by type.</summary>
internal static class PublicApi
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void",
        [typeof(object)] = "object",
        [typeof(string)] = "string",
        [typeof(bool)] = "bool",
        [typeof(char)] = "char",
        [typeof(byte)] = "byte",
        [typeof(sbyte)] = "sbyte",
        [typeof(short)] = "short",
        [typeof(ushort)] = "ushort",
        [typeof(int)] = "int",
        [typeof(uint)] = "uint",
        [typeof(long)] = "long",
        [typeof(ulong)] = "ulong",
        [typeof(float)] = "float",
        [typeof(double)] = "double",
        [typeof(nint)] = "nint",
        [typeof(nuint)] = "nuint",
        [typeof(decimal)] = "decimal",
    };

    public static SortedDictionary<string, SortedSet<string>> Of(Assembly assembly)
    {
        var types = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        foreach (var type in assembly.GetTypes().Where(IsVisible))
            types[NameOf(type)] = new SortedSet<string>(MembersOf(type), StringComparer.Ordinal);
        return types;
    }

    private static IEnumerable<string> MembersOf(Type type)
    {
        var name = NameOf(type);
        if (IsDelegate(type))
        {
            yield return name + Parameters(type.GetMethod("Invoke")!);
            yield break;
        }
        yield return name;
        if (IsGenerated(type))
            yield break;
        foreach (var member in type.GetMembers(Declared).Where(member => !member.IsDefined(typeof(CompilerGeneratedAttribute), inherit: false)))
        {
            var line = member switch
            {
                ConstructorInfo constructor when IsVisible(constructor) => SimpleName(type) + Parameters(constructor),
                MethodInfo method when IsVisible(method) && IsNew(method) => method.Name + TypeParameters(method) + Parameters(method),
                PropertyInfo property when property.GetAccessors(nonPublic: true).Any(accessor => IsVisible(accessor) && IsNew(accessor, property: true)) =>
                    PropertyLine(property),
                EventInfo { AddMethod: { } add } @event when IsVisible(add) => @event.Name,
                FieldInfo { IsSpecialName: false } field when field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly => field.Name,
                _ => null,
            };
            if (line is not null)
                yield return $"{name}.{line}";
        }
    }

    private static string PropertyLine(PropertyInfo property)
    {
        var index = property.GetIndexParameters();
        var name = index.Length == 0 ? property.Name : $"this[{string.Join(", ", index.Select(parameter => Format(parameter.ParameterType)))}]";
        var get = property.GetMethod is { } getter && IsVisible(getter) ? "get; " : "";
        var set = property.SetMethod is { } setter && IsVisible(setter) ? "set; " : "";
        return $"{name} {{ {get}{set}}}";
    }

    private static string NameOf(Type type) => type.DeclaringType is { } outer
        ? $"{NameOf(outer)}.{SimpleName(type)}{OwnTypeParameters(type)}"
        : $"{type.Namespace}.{SimpleName(type)}{OwnTypeParameters(type)}";

    private static string Format(Type type)
    {
        if (type.IsByRef)
            return "ref " + Format(type.GetElementType()!);
        if (type.IsArray)
            return $"{Format(type.GetElementType()!)}[{new string(',', type.GetArrayRank() - 1)}]";
        if (type.IsPointer)
            return Format(type.GetElementType()!) + "*";
        if (Nullable.GetUnderlyingType(type) is { } underlying)
            return Format(underlying) + "?";
        if (Keywords.TryGetValue(type, out var keyword))
            return keyword;
        return type.IsGenericType
            ? $"{SimpleName(type)}<{string.Join(", ", type.GetGenericArguments().Select(Format))}>"
            : SimpleName(type);
    }

    private static string SimpleName(Type type) => type.Name.Split('`')[0];

    private static string Parameters(MethodBase method) =>
        $"({string.Join(", ", method.GetParameters().Select(parameter => Format(parameter.ParameterType)))})";

    private static string TypeParameters(MethodInfo method) =>
        method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(argument => argument.Name))}>" : "";

    /// <summary>A nested type repeats the parameters of the type around it; only its own are shown.</summary>
    private static string OwnTypeParameters(Type type)
    {
        var own = type.GetGenericArguments().Skip(type.DeclaringType?.GetGenericArguments().Length ?? 0).Select(argument => argument.Name).ToList();
        return own.Count == 0 ? "" : $"<{string.Join(", ", own)}>";
    }

    private static bool IsVisible(Type type) =>
        !type.IsDefined(typeof(CompilerGeneratedAttribute), inherit: false)
        && (type.IsPublic || ((type.IsNestedPublic || type.IsNestedFamily || type.IsNestedFamORAssem) && IsVisible(type.DeclaringType!)));

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    /// <summary>Neither an accessor nor an override; the overridden member is listed where it was declared.</summary>
    private static bool IsNew(MethodInfo method, bool property = false) =>
        method.GetBaseDefinition() == method && (property || !method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal));

    private static bool IsDelegate(Type type) => type.IsSubclassOf(typeof(MulticastDelegate));

    /// <summary>What protoc makes of a proto: the proto is its documentation, and the list would only repeat it.</summary>
    private static bool IsGenerated(Type type) => type.Namespace == "Grpc.Health.V1";
}
