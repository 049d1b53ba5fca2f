using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Cluster.Scheduler.Persistence;

/// <summary>Values kept as jsonb: messages in protobuf's own JSON, the rest in the framework's.</summary>
internal static class JsonColumn
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter() },
    };

    // Defaults are written out: a reader of the table sees what holds, and a merge of progress takes a zero for a zero.
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithFormatDefaultValues(true));

    // A field that a later version added, or an earlier one still had, is no reason to refuse a row.
    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    public static ValueConverter<T, string> Converter<T>() => new(value => Write(value), text => Read<T>(text));

    /// <summary>
    /// Two values are the same if they are stored the same. Rows are not changed in place, so a value is its own snapshot.
    /// </summary>
    public static ValueComparer<T> Comparer<T>() => new(
        (a, b) => ReferenceEquals(a, b) || (a != null && b != null && Write(a) == Write(b)),
        value => value == null ? 0 : StringComparer.Ordinal.GetHashCode(Write(value)),
        value => value);

    public static string Write<T>(T value) =>
        value is IMessage message ? Formatter.Format(message) : JsonSerializer.Serialize(value, Options);

    public static T Read<T>(string text) =>
        typeof(IMessage).IsAssignableFrom(typeof(T))
            ? (T)Parser.Parse(text, ((IMessage)Activator.CreateInstance(typeof(T))!).Descriptor)
            : JsonSerializer.Deserialize<T>(text, Options)!;
}
