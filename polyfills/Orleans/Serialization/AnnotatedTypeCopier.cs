using System.Reflection;
using System.Runtime.CompilerServices;

namespace Orleans.Serialization;

/// <summary>Copies a <see cref="GenerateSerializerAttribute"/> type member by member.</summary>
internal sealed class AnnotatedTypeCopier : TypeCopier
{
    private readonly Type _type;
    private readonly ConstructorInfo? _constructor;
    private readonly FieldInfo[] _fields;

    public AnnotatedTypeCopier(Type type)
    {
        _type = type;
        _fields = [.. SerializableMembers.Of(type)];
        _constructor = type.IsValueType ? null : type.GetConstructor(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic, Type.EmptyTypes);
    }

    public override object Copy(object original, CopyContext context)
    {
        var copy = _constructor?.Invoke(null) ?? RuntimeHelpers.GetUninitializedObject(_type);
        context.Record(original, copy);
        CopyFields(_fields, original, copy, context);
        return copy;
    }

    public static void CopyFields(FieldInfo[] fields, object original, object copy, CopyContext context)
    {
        foreach (var field in fields)
        {
            try
            {
                field.SetValue(copy, context.Copy(field.GetValue(original)));
            }
            catch (CodecNotFoundException exception)
            {
                throw exception.Within($"{field.DeclaringType!.Name}.{SerializableMembers.NameOf(field)}");
            }
        }
    }
}

/// <summary>
/// The fields that make up a type's value. The genuine package drops a member without an <see cref="IdAttribute"/> in silence; here it is an
/// error, since dropped data is never meant. <c>[NonSerialized]</c> says that it is.
/// </summary>
internal static class SerializableMembers
{
    private const BindingFlags Declared = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    public static IEnumerable<FieldInfo> Of(Type type)
    {
        for (var level = type; level is not null && level != typeof(object) && level != typeof(ValueType) && !ExceptionCopier.IsFrameworkException(level); level = level.BaseType)
        {
            var fields = level.GetFields(Declared).Where(field => !field.IsDefined(typeof(NonSerializedAttribute))).ToArray();
            if (fields.Length > 0 && !level.IsDefined(typeof(GenerateSerializerAttribute), inherit: false))
                throw new CodecNotFoundException($"{level}, a base of {type}, cannot cross a grain call: mark it [GenerateSerializer] and its members [Id(n)].");
            var ids = new HashSet<uint>();
            foreach (var field in fields)
            {
                if (IdOf(level, field) is not { } id)
                    throw new CodecNotFoundException($"{level}.{NameOf(field)} has no [Id(n)], so that {type} cannot cross a grain call; mark it, or mark it [NonSerialized].");
                if (id.Explicit && !ids.Add(id.Value))
                    throw new CodecNotFoundException($"{level}.{NameOf(field)} has [Id({id.Value})], which another member of {level} has too.");
                yield return field;
            }
        }
    }

    /// <summary>The member's name in the source: an automatic property's for its backing field.</summary>
    public static string NameOf(FieldInfo field) =>
        field.Name is ['<', ..] && field.Name.IndexOf('>', StringComparison.Ordinal) is > 1 and var end ? field.Name[1..end] : field.Name;

    private static (uint Value, bool Explicit)? IdOf(Type level, FieldInfo field)
    {
        if (field.GetCustomAttribute<IdAttribute>() is { } own)
            return (own.Id, true);
        var property = level.GetProperty(NameOf(field), Declared);
        if (property?.GetCustomAttribute<IdAttribute>() is { } onProperty)
            return (onProperty.Id, true);
        // A record's positional members have the number of their position, in a numbering of their own.
        if (property is null || !IsRecord(level))
            return null;
        foreach (var constructor in level.GetConstructors(Declared))
        {
            var position = Array.FindIndex(constructor.GetParameters(), parameter => parameter.Name == property.Name && parameter.ParameterType == property.PropertyType);
            if (position >= 0)
                return ((uint)position, false);
        }

        return null;
    }

    private static bool IsRecord(Type type) => type.GetMethod("PrintMembers", Declared, [typeof(System.Text.StringBuilder)]) is not null;
}
