using System.Collections;
using System.Globalization;
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
    public static IReadOnlyList<JobFileLine> Write(JobSpec spec)
    {
        var file = new FileLines(spec);
        WriteMessage(file, spec, prefix: "", indent: 0);
        return file.Lines;
    }

    private static void WriteMessage(FileLines file, IMessage message, string prefix, int indent)
    {
        foreach (var field in JobFields.KeysOf(message.Descriptor))
        {
            var (key, path) = (field.JsonName, prefix + field.JsonName);
            var value = field.Accessor.GetValue(message);
            if (path == "model.options")
                WriteMap(file, key, path,
                    file.Spec.Model.Options.Select(option => KeyValuePair.Create(option.Key, OptionText(option.Value))), indent);
            else if (field.IsMap)
                WriteMap(file, key, path,
                    ((IDictionary<string, string>)value).Select(label => KeyValuePair.Create(label.Key, Quoted(label.Value))), indent);
            else if (field.IsRepeated)
                WriteList(file, (IEnumerable)value, key, [.. JobFields.OfEntries.Where(candidate => candidate.List == path)], indent);
            else if (field.FieldType == FieldType.Message && field.MessageType != Duration.Descriptor)
                WriteInner(file, (IMessage?)value, key, path, indent);
            else
                WriteValue(file, JobFields.All.Single(candidate => candidate.Path == path), value, key, indent);
        }
    }

    private static void WriteInner(FileLines file, IMessage? message, string key, string path, int indent)
    {
        if (message is null)
            return;
        var opening = file.Lines.Count;
        WriteMessage(file, message, path + ".", indent + 1);
        // A key with nothing under it would be read as a value left out.
        if (file.Lines.Count > opening)
            file.Open(opening, indent, key, path);
    }

    private static void WriteList(FileLines file, IEnumerable list, string key, IReadOnlyList<JobField> fields, int indent)
    {
        var opening = file.Lines.Count;
        foreach (var entry in list.Cast<IMessage>())
        {
            foreach (var field in fields)
            {
                var lead = field == fields[0] ? "- " : "  ";
                file.Add(
                    indent + 1, field.List, $"{lead}{field.Descriptor.JsonName}: {Text(field, field.Descriptor.Accessor.GetValue(entry))}");
            }
        }

        if (file.Lines.Count > opening)
            file.Open(opening, indent, key, fields[0].List);
    }

    private static void WriteValue(FileLines file, JobField field, object? value, string key, int indent)
    {
        // A text that is empty was not known of when the job was stored.
        if (value is not (null or "") && field.AppliesTo(file.Spec))
            file.Add(indent, field.Path, $"{key}: {Text(field, value)}");
    }

    private static string Text(JobField field, object value) => value is string text ? Quoted(text) : field.Text(value);

    private static void WriteMap(FileLines file, string key, string path, IEnumerable<KeyValuePair<string, string>> entries, int indent)
    {
        var opening = file.Lines.Count;
        foreach (var (name, text) in entries.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            file.Add(indent + 1, $"{path}.{name}", $"{Quoted(name)}: {text}");
        if (file.Lines.Count > opening)
            file.Open(opening, indent, key, path);
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

    /// <summary>The lines so far.</summary>
    private sealed class FileLines(JobSpec spec)
    {
        private readonly HashSet<string> _given = [.. spec.Given];
        private readonly List<JobFileLine> _lines = [];

        public JobSpec Spec => spec;

        public IReadOnlyList<JobFileLine> Lines => _lines;

        public void Add(int indent, string path, string text) =>
            _lines.Add(new JobFileLine(path, Indented(indent, text), _given.Contains(path), OpensMore: false));

        /// <summary>Before the lines that the key holds, which are those from there on.</summary>
        public void Open(int at, int indent, string key, string path) =>
            _lines.Insert(at, new JobFileLine(
                path, Indented(indent, $"{key}:"), _lines.Skip(at).Any(line => line.IsGiven), OpensMore: true));

        private static string Indented(int indent, string text) => new string(' ', indent * 2) + text;
    }
}
