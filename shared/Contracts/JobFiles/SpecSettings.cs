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

    /// <summary>Those that mean something to this job, in the job file's order; durations are in seconds.</summary>
    /// <param name="spec">Has a model, at least.</param>
    public static IEnumerable<SpecSetting> Of(JobSpec spec)
    {
        foreach (var field in JobFields.All.Where(field => field.HolderIsPresent(spec)))
        {
            if (field.Get(spec) is { } value and not "" && field.AppliesTo(spec))
                yield return new SpecSetting(field.Path, Plain(field, value));
        }

        foreach (var (name, option) in spec.Model.Options.OrderBy(option => option.Key, StringComparer.Ordinal))
            yield return new SpecSetting(Options + name, Plain(option));
        foreach (var (name, label) in spec.Labels.OrderBy(label => label.Key, StringComparer.Ordinal))
            yield return new SpecSetting(Labels + name, label);
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
