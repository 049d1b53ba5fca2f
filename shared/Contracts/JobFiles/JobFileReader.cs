using System.Collections;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>
/// Moves the values of a YAML document into a spec, remembering which were given and where; knows keys and types, no ranges.
/// </summary>
internal sealed class JobFileReader
{
    private readonly List<JobFileViolation> _faults = [];
    private readonly Dictionary<string, int> _lines = new(StringComparer.Ordinal);
    private readonly HashSet<string> _shorthands = new(StringComparer.Ordinal);

    private JobFileReader()
    {
    }

    public JobSpec Spec { get; } = new();

    public IReadOnlyList<JobFileViolation> Faults => _faults;

    public static JobFileReader Read(YamlMapping document)
    {
        var reader = new JobFileReader();
        reader.ReadMessage(document, reader.Spec, prefix: "");
        return reader;
    }

    public bool IsGiven(string path) => _lines.ContainsKey(path);

    /// <summary>The keys that hold values, in order; a list is one.</summary>
    public IEnumerable<string> Given => _lines.Keys.Where(JobFields.HoldsValues).Order(StringComparer.Ordinal);

    /// <summary>The violation with its line, under the key that the file really has.</summary>
    public JobFileViolation Locate(JobFileViolation violation)
    {
        if (violation.Line > 0)
            return violation;
        var field = violation.Field;
        if (field.EndsWith(".name", StringComparison.Ordinal) && _shorthands.Contains(field[..^5]))
            field = field[..^5];
        for (var path = field; ; path = path[..path.LastIndexOf('.')])
        {
            if (_lines.TryGetValue(path, out var line))
                return violation with { Field = field, Line = line };
            if (!path.Contains('.'))
                return violation with { Field = field, Line = 1 };
        }
    }

    private void ReadMessage(YamlMapping mapping, IMessage message, string prefix)
    {
        foreach (var entry in mapping.Entries)
        {
            var path = prefix + entry.Key;
            var field = JobFields.KeysOf(message.Descriptor).FirstOrDefault(candidate => candidate.JsonName == entry.Key);
            if (field is null)
                _faults.Add(UnknownKey(path, entry, message.Descriptor, prefix));
            else if (entry.Value is YamlScalar { IsNull: true })
                _faults.Add(new(path, null, "is empty", "give it a value or leave the key out", entry.Line));
            else
                ReadField(field, entry, path, message);
        }
    }

    private void ReadField(FieldDescriptor field, YamlEntry entry, string path, IMessage message)
    {
        _lines[path] = entry.Line;
        if (path == "model.options")
            ReadOptions(entry, path);
        else if (path == "resources.devices" && entry.Value is YamlMapping range)
            ReadDeviceRange(range, entry, path);
        else if (field.IsMap)
            ReadLabels((IDictionary<string, string>)field.Accessor.GetValue(message), entry, path);
        else if (field.IsRepeated)
            ReadList(field, entry, path, message);
        else if (field.FieldType == FieldType.Message && field.MessageType != Duration.Descriptor)
            ReadInner(field, entry, path, message);
        else
            ReadValue(JobFields.All.Single(candidate => candidate.Path == path), entry);
    }

    private void ReadInner(FieldDescriptor field, YamlEntry entry, string path, IMessage message)
    {
        var inner = field.MessageType.Parser.ParseFrom(ByteString.Empty);
        field.Accessor.SetValue(message, inner);
        if (entry.Value is YamlMapping mapping)
        {
            ReadMessage(mapping, inner, path + ".");
        }
        else if (entry.Value is YamlScalar && JobFields.All.FirstOrDefault(candidate => candidate.Path == path + ".name") is { } name)
        {
            _shorthands.Add(path);
            ReadValue(name, entry);
        }
        else
        {
            var keys = string.Join(", ", field.MessageType.Fields.InDeclarationOrder().Select(key => key.JsonName));
            _faults.Add(new(path, YamlTree.Describe(entry.Value), "must be a mapping", $"indent its keys under it: {keys}", entry.Line));
        }
    }

    /// <summary>A list of mappings; a single one may stand for a list of one.</summary>
    private void ReadList(FieldDescriptor field, YamlEntry entry, string path, IMessage message)
    {
        var list = (IList)field.Accessor.GetValue(message);
        foreach (var value in entry.Value is YamlSequence sequence ? sequence.Items : [entry.Value])
        {
            var inner = field.MessageType.Parser.ParseFrom(ByteString.Empty);
            list.Add(inner);
            ReadEntry(value, [.. JobFields.OfEntries.Where(candidate => candidate.List == path)], inner, $"{path}[{list.Count}]");
        }
    }

    private void ReadEntry(YamlTree value, IReadOnlyList<JobField> fields, IMessage entry, string path)
    {
        _lines[path] = value.Line;
        var keys = string.Join(", ", fields.Select(field => field.Descriptor.JsonName));
        if (value is not (YamlMapping or YamlScalar { IsNull: false }))
        {
            _faults.Add(new(path, YamlTree.Describe(value), "must be a mapping", $"its keys are {keys}", value.Line));
            return;
        }

        var given = value is YamlMapping mapping ? mapping.Entries : [new YamlEntry(fields[0].Descriptor.JsonName, value.Line, value)];
        foreach (var (key, line, said) in given)
        {
            var shown = JobFileViolation.Shown($"{path}.{key}");
            _lines[shown] = line;
            if (fields.FirstOrDefault(candidate => candidate.Descriptor.JsonName == key) is not { } field)
                _faults.Add(new(shown, YamlTree.Describe(said), "no such key exists", $"the keys here are {keys}", line));
            else if (said is YamlScalar scalar && YamlValue.As(field, scalar) is { } read)
                field.Descriptor.Accessor.SetValue(entry, read);
            else
                _faults.Add(new(shown, YamlTree.Describe(said), $"must be {field.Range}", field.Remedy(null), line));
        }
    }

    private void ReadValue(JobField field, YamlEntry entry)
    {
        var value = entry.Value is YamlScalar scalar ? YamlValue.As(field, scalar) : null;
        if (value is not null)
        {
            _lines[field.Path] = entry.Line;
            field.Set(Spec, value);
            return;
        }

        // Not given, then: the default takes its place, so that no second fault follows from this one.
        _lines.Remove(field.Path);
        var unquoted = entry.Value is YamlScalar { IsPlain: false } quoted
            && YamlValue.As(field, quoted with { IsPlain = true }) is not null;
        var path = _shorthands.Contains(field.Path.Replace(".name", "")) ? field.Path.Replace(".name", "") : field.Path;
        _faults.Add(new(path, YamlTree.Describe(entry.Value), $"must be {field.Range}",
            unquoted ? "remove the quotes" : field.Remedy(null), entry.Line));
    }

    private void ReadOptions(YamlEntry entry, string path)
    {
        if (entry.Value is not YamlMapping mapping)
        {
            _faults.Add(new(path, YamlTree.Describe(entry.Value), "must be a mapping", "indent the model's options under it", entry.Line));
            return;
        }

        foreach (var option in mapping.Entries)
        {
            _lines[$"{path}.{option.Key}"] = option.Line;
            if (option.Value is YamlScalar { IsNull: false } scalar)
                Spec.Model.Options[option.Key] = YamlValue.Infer(scalar);
            else
                _faults.Add(new($"{path}.{option.Key}", YamlTree.Describe(option.Value), "must be a single value",
                    "give it a value or leave it out", option.Line));
        }
    }

    /// <summary>"devices: {min: 1, max: 4}" stands for minDevices and devices.</summary>
    private void ReadDeviceRange(YamlMapping range, YamlEntry entry, string path)
    {
        const string Remedy = "write it as {min: 1, max: 4}, or give one number";
        foreach (var bound in range.Entries)
        {
            if (bound.Key is not ("min" or "max"))
            {
                var shown = $"{path}.{JobFileViolation.Shown(bound.Key)}";
                _faults.Add(new(shown, YamlTree.Describe(bound.Value), "no such key exists", Remedy, bound.Line));
            }
            else
            {
                ReadValue(JobFields.All.Single(field => field.Path == (bound.Key == "max" ? path : "resources.minDevices")), bound);
            }
        }

        foreach (var missing in new[] { "min", "max" }.Where(bound => !range.Entries.Any(given => given.Key == bound)))
        {
            // Not given, then: the default takes its place, so that no second fault follows from this one.
            _lines.Remove(path);
            _faults.Add(new(path, null, $"has no {missing}", Remedy, entry.Line));
        }
    }

    private void ReadLabels(IDictionary<string, string> labels, YamlEntry entry, string path)
    {
        if (entry.Value is not YamlMapping mapping)
        {
            _faults.Add(new(
                path, YamlTree.Describe(entry.Value), "must be a mapping", "indent lines such as \"team: vision\" under it", entry.Line));
            return;
        }

        foreach (var label in mapping.Entries)
        {
            _lines[$"{path}.{label.Key}"] = label.Line;
            if (label.Value is YamlScalar scalar)
                labels[label.Key] = scalar.IsNull ? "" : scalar.Text;
            else
                _faults.Add(new(
                    $"{path}.{label.Key}", YamlTree.Describe(label.Value), "must be a single value", "write it as one word", label.Line));
        }
    }

    private static JobFileViolation UnknownKey(string path, YamlEntry entry, MessageDescriptor message, string prefix)
    {
        if (ExperimentFile.IsOwnKey(path))
            return new(
                path, YamlTree.Describe(entry.Value), "one job has none", "submit the file as an experiment, or remove it", entry.Line);
        var keys = JobFields.KeysOf(message).Select(field => field.JsonName).ToList();
        // Right word, wrong level: "learningRate" at the top of the file.
        var elsewhere = JobFields.All.FirstOrDefault(field => field.Path.EndsWith("." + entry.Key, StringComparison.OrdinalIgnoreCase))
            ?.Path;
        var remedy = NearestName.Of(entry.Key, keys) is { } near ? $"did you mean {prefix}{near}?"
            : elsewhere is not null ? $"did you mean {elsewhere}?"
            : $"the keys here are {string.Join(", ", keys)}";
        return new(JobFileViolation.Shown(path), YamlTree.Describe(entry.Value), "no such key exists", remedy, entry.Line);
    }
}
