using System.Text.RegularExpressions;

namespace Cluster.Contracts.JobFiles;

/// <summary>Reads <c>variants</c> and <c>matrix</c> of an experiment's file into one list.</summary>
internal static partial class VariantReader
{
    /// <exception cref="JobFileException">They are not of the right form, or name what no job file has.</exception>
    public static IReadOnlyList<VariantSettings> Read(YamlMapping document)
    {
        var faults = new List<JobFileViolation>();
        var listed = document.Value(ExperimentFile.Variants) is { } variants ? ReadList(variants, faults) : null;
        var axes = document.Value(ExperimentFile.Matrix) is { } matrix ? ReadMatrix(matrix, faults) : null;
        ThrowIfAny(faults);
        if (listed is null && axes is null)
            throw Fault(ExperimentFile.Variants, null, "is missing", "list the variants to compare, each with a name and what it sets", 1);

        var jobs = axes?.Aggregate((long)(listed?.Count ?? 1), (product, axis) => Math.Min(product * axis.Values.Count, int.MaxValue))
            ?? listed!.Count;
        if (jobs > ExperimentFile.MaxVariants)
        {
            throw Fault(axes is null ? ExperimentFile.Variants : ExperimentFile.Matrix, $"{jobs} jobs",
                $"must be at most {ExperimentFile.MaxVariants}",
                "leave some values out or submit several experiments", axes?[0].Line ?? listed![0].Line);
        }

        var all = Combine(listed, axes);
        foreach (var twice in all.GroupBy(variant => variant.Name, StringComparer.Ordinal).Where(same => same.Skip(1).Any()))
            faults.Add(new(ExperimentFile.Variants, twice.Key, "is the name of two variants", "give each its own", twice.Last().Line));
        ThrowIfAny(faults);
        return all;
    }

    private static List<VariantSettings> ReadList(YamlTree list, List<JobFileViolation> faults)
    {
        var variants = new List<VariantSettings>();
        if (list is not YamlSequence { Items.Count: > 0 } sequence)
        {
            faults.Add(new(ExperimentFile.Variants, YamlTree.Describe(list), list is YamlSequence ? "must not be empty" : "must be a list",
                "write lines such as \"- {name: relu, set: {model.options.activation: relu}}\" under it", list.Line));
            return variants;
        }

        for (var i = 0; i < sequence.Items.Count; i++)
        {
            if (ReadVariant(sequence.Items[i], $"{ExperimentFile.Variants}[{i + 1}]", faults) is { } variant)
                variants.Add(variant);
        }

        return variants;
    }

    private static VariantSettings? ReadVariant(YamlTree item, string path, List<JobFileViolation> faults)
    {
        if (item is not YamlMapping mapping)
        {
            faults.Add(
                new(path, YamlTree.Describe(item), "must be a mapping", "give it a name and, under set, what it changes", item.Line));
            return null;
        }

        foreach (var entry in mapping.Entries.Where(entry => entry.Key is not ("name" or "set")))
        {
            var remedy = SettingPath.IsKnown(entry.Key)
                ? $"put {JobFileViolation.Shown(entry.Key)} under set"
                : "the keys here are name, set";
            faults.Add(new(
                JobFileViolation.Shown($"{path}.{entry.Key}"), YamlTree.Describe(entry.Value), "no such key exists", remedy, entry.Line));
        }

        if (mapping.Value("name") is not YamlScalar { IsNull: false } name || !NamePattern().IsMatch(name.Text))
        {
            faults.Add(new($"{path}.name", mapping.Value("name") is { } given ? YamlTree.Describe(given) : null,
                mapping.Value("name") is null
                    ? "is missing"
                    : "must be 1 to 40 letters, digits, blanks or any of . _ , = + × -, the first a letter or digit",
                "use a name such as relu", mapping.Line));
            return null;
        }

        var set = mapping.Value("set");
        if (set is not YamlMapping { Entries.Count: > 0 } settings)
        {
            faults.Add(new($"{path}.set", set is null or YamlMapping
                ? null
                : YamlTree.Describe(set), set is null or YamlMapping ? "changes nothing" : "must be a mapping",
                "write what differs, such as \"set: {hyperparameters.labelSmoothing: 0.1}\"", set?.Line ?? mapping.Line)
            {
                Variant = name.Text,
            });
            return null;
        }

        faults.AddRange(
            settings.Entries.Select(SettingPath.Fault).OfType<JobFileViolation>().Select(fault => fault with { Variant = name.Text }));
        return new VariantSettings(name.Text, settings.Entries, mapping.Line);
    }

    internal static List<MatrixAxis> ReadMatrix(YamlTree matrix, List<JobFileViolation> faults)
    {
        var axes = new List<MatrixAxis>();
        if (matrix is not YamlMapping { Entries.Count: > 0 } mapping)
        {
            faults.Add(new(ExperimentFile.Matrix, matrix is YamlMapping ? null : YamlTree.Describe(matrix),
                matrix is YamlMapping ? "is empty" : "must be a mapping", "write lines such as \"seed: [1, 2, 3]\" under it", matrix.Line));
            return axes;
        }

        foreach (var entry in mapping.Entries)
        {
            if (SettingPath.Fault(entry) is { } unknown)
            {
                faults.Add(unknown with { Field = $"{ExperimentFile.Matrix}: {unknown.Field}" });
            }
            else if (entry.Value is YamlSequence { Items.Count: > 0 } list && list.Items.All(item => item is YamlScalar { IsNull: false }))
            {
                axes.Add(new MatrixAxis(entry.Key, [.. list.Items.Cast<YamlScalar>()], entry.Line));
            }
            else
            {
                faults.Add(new(
                    $"{ExperimentFile.Matrix}: {entry.Key}", YamlTree.Describe(entry.Value), "must be a list of one or more single values",
                    "write it as [1, 2, 3]", entry.Line));
            }
        }

        return axes;
    }

    private static List<VariantSettings> Combine(List<VariantSettings>? listed, List<MatrixAxis>? axes)
    {
        if (axes is null)
            return listed!;
        var combined = listed ?? [new VariantSettings("", [], axes[0].Line)];
        var names = SettingPath.ShortNames([.. axes.Select(axis => axis.Path)]);
        foreach (var axis in axes)
        {
            combined = [.. combined.SelectMany(variant => axis.Values.Select(value =>
                variant.With(
                    $"{names[axis.Path]}={value.Text}", new YamlEntry(axis.Path, value.Line, value))))];
        }

        return combined;
    }

    private static JobFileException Fault(string field, string? value, string problem, string remedy, int line) =>
        new([new JobFileViolation(field, value, problem, remedy, line)]);

    private static void ThrowIfAny(List<JobFileViolation> faults)
    {
        if (faults.Count > 0)
            throw new JobFileException(faults.OrderBy(fault => fault.Line));
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9 ._,=+×-]{0,39}\\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NamePattern();

    internal sealed record MatrixAxis(string Path, IReadOnlyList<YamlScalar> Values, int Line);
}

/// <summary>A variant as the file gives it: what to put where.</summary>
/// <param name="Settings">Keys are dotted paths.</param>
internal sealed record VariantSettings(string Name, IReadOnlyList<YamlEntry> Settings, int Line)
{
    public VariantSettings With(string addition, YamlEntry setting) =>
        new(Name.Length == 0 ? addition : $"{Name},{addition}", [.. Settings, setting], Line);

    /// <summary>The variant's own document: the shared one with each setting in its place.</summary>
    public YamlMapping ApplyTo(YamlMapping shared) => Settings.Aggregate(shared, SettingPath.Put);
}
