using System.Collections;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>Writes a complete spec as a job file, in the order of the proto's fields.</summary>
internal static class JobFileWriter
{
    public static string Write(JobSpec spec)
    {
        var yaml = new StringBuilder();
        WriteMessage(yaml, spec, spec, prefix: "", indent: 0);
        return yaml.ToString();
    }

    private static void WriteMessage(StringBuilder yaml, JobSpec spec, IMessage message, string prefix, int indent)
    {
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder())
        {
            var (key, path) = (field.JsonName, prefix + field.JsonName);
            var value = field.Accessor.GetValue(message);
            if (path == "model.options")
                WriteMap(yaml, key, spec.Model.Options.Select(option => KeyValuePair.Create(option.Key, OptionText(option.Value))), indent);
            else if (field.IsMap)
                WriteMap(yaml, key,
                    ((IDictionary<string, string>)value).Select(label => KeyValuePair.Create(label.Key, Quoted(label.Value))), indent);
            else if (field.IsRepeated)
                WriteList(yaml, (IEnumerable)value, key, [.. JobFields.OfEntries.Where(candidate => candidate.List == path)], indent);
            else if (field.FieldType == FieldType.Message && field.MessageType != Duration.Descriptor)
                WriteInner(yaml, spec, (IMessage?)value, key, path, indent);
            else
                WriteValue(yaml, spec, JobFields.All.Single(candidate => candidate.Path == path), value, key, indent);
        }
    }

    private static void WriteInner(StringBuilder yaml, JobSpec spec, IMessage? message, string key, string path, int indent)
    {
        if (message is null)
            return;
        var inner = new StringBuilder();
        WriteMessage(inner, spec, message, path + ".", indent + 1);
        // A key with nothing under it would be read as a value left out.
        if (inner.Length == 0)
            return;
        Line(yaml, indent, $"{key}:");
        yaml.Append(inner);
    }

    private static void WriteList(StringBuilder yaml, IEnumerable list, string key, IReadOnlyList<JobField> fields, int indent)
    {
        var isFirst = true;
        foreach (var entry in list.Cast<IMessage>())
        {
            if (isFirst)
                Line(yaml, indent, $"{key}:");
            isFirst = false;
            foreach (var field in fields)
            {
                var lead = field == fields[0] ? "- " : "  ";
                Line(yaml, indent + 1, $"{lead}{field.Descriptor.JsonName}: {Text(field, field.Descriptor.Accessor.GetValue(entry))}");
            }
        }
    }

    private static void WriteValue(StringBuilder yaml, JobSpec spec, JobField field, object? value, string key, int indent)
    {
        // A text that is empty was not known of when the job was stored.
        if (value is not (null or "") && field.AppliesTo(spec))
            Line(yaml, indent, $"{key}: {Text(field, value)}");
    }

    private static string Text(JobField field, object value) => value is string text ? Quoted(text) : field.Text(value);

    private static void WriteMap(StringBuilder yaml, string key, IEnumerable<KeyValuePair<string, string>> entries, int indent)
    {
        var sorted = entries.OrderBy(entry => entry.Key, StringComparer.Ordinal).ToList();
        if (sorted.Count == 0)
            return;
        Line(yaml, indent, $"{key}:");
        foreach (var (name, text) in sorted)
            Line(yaml, indent + 1, $"{Quoted(name)}: {text}");
    }

    private static string OptionText(OptionValue value) => value.KindCase switch
    {
        OptionValue.KindOneofCase.StringValue => Quoted(value.StringValue),
        // "1" would come back as a whole number; harmless to a known option, yet not the same message.
        OptionValue.KindOneofCase.DoubleValue when double.IsInteger(value.DoubleValue) && Math.Abs(value.DoubleValue) < 1e15 =>
            value.DoubleValue.ToString("F1", CultureInfo.InvariantCulture),
        _ => OptionDefinition.Text(value),
    };

    // A JSON string is a YAML double-quoted scalar.
    private static string Quoted(string text) => YamlValue.IsSafePlainText(text) ? text : JsonSerializer.Serialize(text);

    private static void Line(StringBuilder yaml, int indent, string text) => yaml.Append(' ', indent * 2).Append(text).Append('\n');
}
