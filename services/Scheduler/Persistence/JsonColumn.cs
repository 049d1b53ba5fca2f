using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;
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

    public static string Write<T>(T value) =>
        value is IMessage message ? Formatter.Format(message) : JsonSerializer.Serialize(value, Options);

    public static T Read<T>(string text) =>
        typeof(IMessage).IsAssignableFrom(typeof(T))
            ? (T)Parser.Parse(text, ((IMessage)Activator.CreateInstance(typeof(T))!).Descriptor)
            : JsonSerializer.Deserialize<T>(text, Options)!;
}
