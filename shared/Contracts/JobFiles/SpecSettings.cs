using System.Globalization;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.JobFiles;

/// <summary>What a job is set to, flat: each value under its path in a job file.</summary>
public static class SpecSettings
{
    /// <summary>What begins the path of a network's option.</summary>
    public const string Options = "model.options.";

    /// <summary>What begins the path of a label.</summary>
    public const string Labels = "labels.";

    /// <summary>All paths but those of labels, with what they hold.</summary>
    public static IReadOnlyDictionary<string, SettingKind> Kinds { get; } = JobFields.All
        .Select(field => (field.Path, Kind: KindOf(field.Descriptor)))
        .Concat(ModelCatalog.All.SelectMany(model => model.Options).Select(option => (Path: Options + option.Name, Kind: KindOf(option))))
        .GroupBy(setting => setting.Path, setting => setting.Kind, StringComparer.Ordinal)
        // An option that is a number of one network and a word of another is compared as a word.
        .ToDictionary(kinds => kinds.Key, kinds => kinds.Distinct().Count() == 1 ? kinds.First() : SettingKind.Text);

    /// <summary>
    /// Those paths by all that people call them, in any case: the path, its end where only one ends so ("learningRate"; "optimizer" of
    /// "hyperparameters.optimizer.name"), and a few words for short.
    /// </summary>
    public static IReadOnlyDictionary<string, string> Names { get; } = Kinds.Keys
        .SelectMany(path => new[] { (Name: path, Path: path), (Name: End(path), Path: path) })
        .Distinct()
        .GroupBy(pair => pair.Name, pair => pair.Path, StringComparer.OrdinalIgnoreCase)
        .Where(paths => paths.Count() == 1)
        .ToDictionary(paths => paths.Key, paths => paths.Single())
        .Concat(
        [
            new("lr", "hyperparameters.optimizer.learningRate"), new("batch", "hyperparameters.globalBatchSize"),
            new("model", "model.name"), new("data", "data.name"),
        ])
        .GroupBy(name => name.Key, name => name.Value, StringComparer.OrdinalIgnoreCase)
        .ToDictionary(paths => paths.Key, paths => paths.Last(), StringComparer.OrdinalIgnoreCase);

    private static readonly Dictionary<string, JobField> Fields = JobFields.All
        .GroupBy(field => field.Path, StringComparer.Ordinal).ToDictionary(fields => fields.Key, fields => fields.First());

    // What of a spec a run knows.
    private static readonly string[] OfARun = ["model.", "data.", "hyperparameters.", "parallelism", "seed", Labels];

    /// <summary>What is known of a path, which may be that of a label.</summary>
    public static SettingKind KindOf(string path) => Kinds.GetValueOrDefault(path, SettingKind.Text);

    /// <summary>Those of a run's job that the run knows; none where the scheduler could not read what is stored of the job.</summary>
    public static IEnumerable<SpecSetting> Of(Run run) => SpecOf(run) is { } spec
        ? Of(spec).Where(setting => IsKnownToRuns(setting.Path))
        : [];

    /// <returns>Null: the setting means nothing to that job, or a run does not know it.</returns>
    public static SpecSetting? Find(Run run, string path)
    {
        if (!IsKnownToRuns(path) || SpecOf(run) is not { } spec)
            return null;
        if (path.StartsWith(Labels, StringComparison.Ordinal))
            return spec.Labels.TryGetValue(path[Labels.Length..], out var label) ? new SpecSetting(path, label) : null;
        if (path.StartsWith(Options, StringComparison.Ordinal))
            return spec.Model.Options.TryGetValue(path[Options.Length..], out var option) ? new SpecSetting(path, Plain(option)) : null;
        return Fields.TryGetValue(path, out var field) ? Find(spec, field) : null;
    }

    public static bool IsKnownToRuns(string path) => Array.Exists(OfARun, known => path.StartsWith(known, StringComparison.Ordinal));

    /// <summary>Paths as a job file has them, each once, and labels behind them by their names.</summary>
    public static IReadOnlyList<string> InOrder(IEnumerable<string> paths)
    {
        var given = paths.ToHashSet(StringComparer.Ordinal);
        return
        [
            .. Kinds.Keys.Where(given.Contains),
            .. given.Where(path => path.StartsWith(Labels, StringComparison.Ordinal)).Order(StringComparer.Ordinal),
        ];
    }

    /// <summary>Those that mean something to this job, in the job file's order; durations are in seconds.</summary>
    /// <param name="spec">Has a model, at least.</param>
    public static IEnumerable<SpecSetting> Of(JobSpec spec)
    {
        foreach (var field in JobFields.All)
        {
            if (Find(spec, field) is { } setting)
                yield return setting;
        }

        foreach (var (name, option) in spec.Model.Options.OrderBy(option => option.Key, StringComparer.Ordinal))
            yield return new SpecSetting(Options + name, Plain(option));
        foreach (var (name, label) in spec.Labels.OrderBy(label => label.Key, StringComparer.Ordinal))
            yield return new SpecSetting(Labels + name, label);
    }

    private static SpecSetting? Find(JobSpec spec, JobField field) =>
        field.HolderIsPresent(spec) && field.Get(spec) is { } value and not "" && field.AppliesTo(spec)
            ? new SpecSetting(field.Path, Plain(field, value))
            : null;

    private static JobSpec? SpecOf(Run run) => run is { Model: { } model, Data: { } data, Hyperparameters: { } hyperparameters }
        ? new JobSpec
        {
            Model = model,
            Data = data,
            Hyperparameters = hyperparameters,
            Parallelism = run.Parallelism,
            Seed = run.Seed,
            Labels = { run.Labels },
        }
        : null;

    private static string End(string path)
    {
        var whole = path.EndsWith(".name", StringComparison.Ordinal) ? path[..^".name".Length] : path;
        return whole[(whole.LastIndexOf('.') + 1)..];
    }

    private static object Plain(JobField field, object value) => value switch
    {
        bool or double => value,
        Duration duration => duration.ToTimeSpan().TotalSeconds,
        int or long or ulong => Convert.ToDecimal(value, CultureInfo.InvariantCulture),
        _ => field.Text(value),
    };

    private static object Plain(OptionValue option) => option.KindCase switch
    {
        OptionValue.KindOneofCase.BoolValue => option.BoolValue,
        OptionValue.KindOneofCase.IntValue => (decimal)option.IntValue,
        OptionValue.KindOneofCase.DoubleValue => option.DoubleValue,
        _ => OptionDefinition.Text(option),
    };

    private static SettingKind KindOf(OptionDefinition option) => option.Kind switch
    {
        OptionKind.Flag => SettingKind.Flag,
        OptionKind.Word => SettingKind.Text,
        _ => SettingKind.Number,
    };

    private static SettingKind KindOf(FieldDescriptor field) => field.FieldType switch
    {
        FieldType.Bool => SettingKind.Flag,
        FieldType.String or FieldType.Enum => SettingKind.Text,
        _ => SettingKind.Number,
    };
}

/// <summary>What a setting holds.</summary>
public enum SettingKind
{
    Number,
    Text,
    Flag,
}

/// <param name="Path">"hyperparameters.optimizer.learningRate".</param>
/// <param name="Value">A double, a decimal that is whole, a bool or a string.</param>
public sealed record SpecSetting(string Path, object Value)
{
    /// <summary>As a job file writes it.</summary>
    public string Text => Value switch
    {
        bool flag => flag ? "true" : "false",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        decimal whole => whole.ToString("0", CultureInfo.InvariantCulture),
        _ => (string)Value,
    };
}
