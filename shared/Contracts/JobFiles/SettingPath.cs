using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>Dotted paths into a job file, as a variant's settings name them: "hyperparameters.optimizer.learningRate".</summary>
internal static class SettingPath
{
    public static bool IsKnown(string path) => Split(path) is not null;

    /// <summary>What is wrong with the path of a setting, or null. Whether its value is right, the job file's own rules tell.</summary>
    public static JobFileViolation? Fault(YamlEntry setting) => UnknownKey(setting) ?? (setting.Key is "name" or "workspace"
        ? new(setting.Key, YamlTree.Describe(setting.Value), "is the experiment's and the same for all of its jobs",
            "name the variant instead", setting.Line)
        : null);

    /// <summary>That no job file has such a path, or null.</summary>
    public static JobFileViolation? UnknownKey(YamlEntry setting)
    {
        if (IsKnown(setting.Key))
            return null;
        var remedy = Nearest(setting.Key) is { } near
            ? $"did you mean {near}?"
            : "write the keys on the way to it with dots between, as in hyperparameters.epochs";
        return new(
            JobFileViolation.Shown(setting.Key), YamlTree.Describe(setting.Value), "no job file has such a key", remedy, setting.Line);
    }

    /// <summary>A copy of the document with the setting in its place, whatever stood there before.</summary>
    public static YamlMapping Put(YamlMapping document, YamlEntry setting) => Put(document, prefix: "", Split(setting.Key)!, setting);

    /// <summary>"learningRate=0.01,activation=relu".</summary>
    public static string Names(IEnumerable<(string Path, string Value)> settings)
    {
        var given = settings.ToList();
        var names = ShortNames(given.ConvertAll(setting => setting.Path));
        return string.Join(',', given.Select(setting => $"{names[setting.Path]}={setting.Value}"));
    }

    /// <summary>
    /// "activation" of "model.options.activation", "model" of "model.name"; the paths themselves where two would be called the same.
    /// </summary>
    public static Dictionary<string, string> ShortNames(IReadOnlyCollection<string> paths)
    {
        var names = paths.Distinct(StringComparer.Ordinal).ToDictionary(
            path => path, path => LastStep(path.EndsWith(".name", StringComparison.Ordinal) ? path[..^5] : path));
        return names.Values.Distinct(StringComparer.Ordinal).Count() == names.Count
            ? names
            : names.Keys.ToDictionary(path => path, path => path);
    }

    private static YamlMapping Put(YamlMapping mapping, string prefix, ReadOnlySpan<string> steps, YamlEntry setting)
    {
        var key = steps[0];
        var existing = mapping.Entries.FirstOrDefault(entry => entry.Key == key);
        var made = new YamlEntry(key, setting.Line, setting.Value);
        if (steps.Length > 1)
        {
            if (Opened(existing?.Value ?? new YamlMapping([], setting.Line), prefix + key) is not YamlMapping inner)
                return mapping;
            made = new YamlEntry(key, existing?.Line ?? setting.Line, Put(inner, $"{prefix}{key}.", steps[1..], setting));
        }

        return mapping with
        {
            Entries = existing is null
                ? [.. mapping.Entries, made]
                : [.. mapping.Entries.Select(entry => entry == existing ? made : entry)],
        };
    }

    /// <summary>
    /// "lenet5" where a mapping with a name may stand becomes that mapping. Anything else stays, and is a fault of its own.
    /// </summary>
    private static YamlTree Opened(YamlTree value, string path) =>
        value is YamlScalar { IsNull: false } && JobFields.All.Any(field => field.Path == path + ".name")
            ? new YamlMapping([new YamlEntry("name", value.Line, value)], value.Line)
            : value;

    /// <summary>
    /// The keys on the way, or null where a job file has no such path. What follows a map's name is one key, dots and all.
    /// </summary>
    private static string[]? Split(string path)
    {
        var steps = new List<string>();
        var message = JobSpec.Descriptor;
        for (var rest = path; ;)
        {
            var dot = rest.IndexOf('.', StringComparison.Ordinal);
            var key = dot < 0 ? rest : rest[..dot];
            if (JobFields.KeysOf(message).FirstOrDefault(candidate => candidate.JsonName == key) is not { } field)
                return null;
            steps.Add(key);
            if (dot < 0)
                return [.. steps];
            rest = rest[(dot + 1)..];
            if (field.IsMap)
                return rest.Length == 0 ? null : [.. steps, rest];
            if (field.IsRepeated || field.FieldType != FieldType.Message || field.MessageType == Duration.Descriptor)
                return null;
            message = field.MessageType;
        }
    }

    private static string? Nearest(string path)
    {
        var known = JobFields.All.Select(field => field.Path)
            .Concat(ModelCatalog.All.SelectMany(model => model.Options).Select(option => $"model.options.{option.Name}"))
            .Distinct(StringComparer.Ordinal).ToList();
        if (NearestName.Of(path, known) is { } near)
            return near;
        // Right word, wrong way to it: "options.activation", or "learningRate" alone.
        var last = NearestName.Of(LastStep(path), known.Select(LastStep).Distinct(StringComparer.Ordinal));
        return known.Find(candidate => LastStep(candidate) == last);
    }

    private static string LastStep(string path) => path[(path.LastIndexOf('.') + 1)..];
}
