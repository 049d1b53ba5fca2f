using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Google.Protobuf;

namespace Cluster.Tests.Shared;

/// <summary>Types that hold a secret, by the names of their fields, each with one planted.</summary>
internal static partial class SecretHolders
{
    /// <summary>What is planted.</summary>
    public const string Secret = "planted-5ec4e7";

    // But not where a list goes on.
    [GeneratedRegex(
        "secret|password|connectionstring|(?<!page)token$|credential", RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SecretName();

    /// <summary>The types of an assembly that were found, and of them those whose text tells what they hold.</summary>
    public static (int Found, IReadOnlyList<string> Telling) In(Assembly assembly)
    {
        var (found, telling) = (0, new List<string>());
        foreach (var type in assembly.GetTypes().Where(IsBuilt))
        {
            var fields = FieldsOf(type).Where(field => field.FieldType == typeof(string) && SecretName().IsMatch(NameOf(field))).ToList();
            if (fields.Count == 0)
                continue;
            found++;
            var holder = typeof(IMessage).IsAssignableFrom(type)
                ? Activator.CreateInstance(type)! : RuntimeHelpers.GetUninitializedObject(type);
            fields.ForEach(field => field.SetValue(holder, Secret));
            if (TextOf(holder).Contains(Secret, StringComparison.Ordinal))
                telling.Add($"{type.FullName}: {string.Join(", ", fields.Select(NameOf))}");
        }

        return (found, telling);
    }

    private static bool IsBuilt(Type type) =>
        type is { IsAbstract: false, IsInterface: false, ContainsGenericParameters: false, IsEnum: false, IsByRefLike: false };

    private static IEnumerable<FieldInfo> FieldsOf(Type type) =>
        type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);

    /// <summary>That of the property, of one that the compiler has made a field for.</summary>
    private static string NameOf(FieldInfo field) => field.Name.Trim('_').Split('<', '>').First(part => part.Length > 0);

    private static string TextOf(object holder)
    {
        try
        {
            return $"{holder}";
        }
        catch (NullReferenceException)
        {
            // Its other fields are not set, and its own text needs them: the record's, which the compiler writes, needs none.
            return "";
        }
    }
}
