using System.Globalization;
using System.Text.RegularExpressions;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.JobFiles;

/// <summary>The rules that a job must keep, for one read from a job file and for one received as a message alike.</summary>
public static partial class JobSpecValidator
{
    private const int MaxLabels = 32;
    private const int MaxEntries = 100;

    /// <summary>A checked copy of a received spec with every default filled in.</summary>
    /// <remarks>
    /// proto3 cannot tell a number that was not set from a zero. So an absent message takes its defaults as a whole, as do empty texts and
    /// unspecified enums; a number or flag in a message that is present is taken as it stands: <c>devices: 0</c> is refused, not made 1.
    /// Numbers at the top level count as absent when zero, as do those that a message of before could not carry.
    /// </remarks>
    /// <exception cref="JobFileException">It does not describe a job that could run.</exception>
    public static JobSpec Complete(JobSpec received)
    {
        var spec = received.Clone();
        // What a sender's own file had in it, if it had one, is not known here.
        spec.Given.Clear();
        JobDefaults.Fill(spec, field => IsGiven(received.Clone(), field));
        var faults = Check(spec);
        return faults.Count == 0 ? spec : throw new JobFileException(faults);
    }

    /// <summary>Everything wrong with a complete spec; empty if nothing is.</summary>
    public static IReadOnlyList<JobFileViolation> Check(JobSpec spec)
    {
        var faults = FieldFaults(spec).Concat(EntryFaults(spec)).ToList();
        return faults.Count > 0 ? faults : JointFaults(spec).ToList();
    }

    /// <summary>Everything wrong with a model and those of its options that are given, apart from any job.</summary>
    public static IReadOnlyList<JobFileViolation> CheckModel(ModelSpec model)
    {
        var name = JobFields.All.Single(field => field.Path == "model.name");
        return ModelCatalog.TryGet(model.Name, out _) ? [.. OptionFaults(model)] : [UnknownName(name, model.Name)];
    }

    /// <summary>What is wrong with single fields.</summary>
    internal static IEnumerable<JobFileViolation> FieldFaults(JobSpec spec)
    {
        var wrong = new HashSet<string>(StringComparer.Ordinal);
        foreach (var field in JobFields.All)
        {
            if (FieldFault(spec, field, wrong) is not { } fault)
                continue;
            wrong.Add(field.Path);
            yield return fault;
        }

        foreach (var fault in OptionFaults(spec.Model).Concat(LabelFaults("labels", spec.Labels))
            .Concat(LabelFaults("resources.nodeLabels", spec.Resources.NodeLabels)))
            yield return fault;
    }

    /// <summary>What is wrong with what lists hold.</summary>
    internal static IEnumerable<JobFileViolation> EntryFaults(JobSpec spec)
    {
        foreach (var list in JobFields.OfEntries.GroupBy(field => field.List))
        {
            var entries = list.First().Entries(spec).ToList();
            if (entries.Count > MaxEntries)
                yield return new(list.Key, $"a list of {entries.Count}", $"must be at most {MaxEntries}", "leave some out");
            for (var i = 0; i < Math.Min(entries.Count, MaxEntries); i++)
            {
                foreach (var field in list)
                {
                    var (path, value) =
                        ($"{list.Key}[{i + 1}].{field.Descriptor.JsonName}", field.Descriptor.Accessor.GetValue(entries[i]));
                    if (value is "")
                        yield return new(path, null, "is missing", field.Remedy(null));
                    else if (!field.Accepts(value))
                        yield return new(path, Shown(field, value), $"must be {field.Range}", field.Remedy(value));
                }
            }
        }
    }

    /// <summary>What is wrong with fields together, each being right by itself.</summary>
    internal static IEnumerable<JobFileViolation> JointFaults(JobSpec spec) => JointRules.Faults(spec);

    private static JobFileViolation? FieldFault(JobSpec spec, JobField field, HashSet<string> wrong)
    {
        var value = field.Get(spec);
        if (!field.AppliesTo(spec))
        {
            // With a wrong optimizer's name nobody can say what belongs to it.
            if (JobField.IsUnset(value) || wrong.Contains("task.name")
                || wrong.Contains(field.Path[..(field.Path.LastIndexOf('.') + 1)] + "name"))
                return null;
            var reason = TaskFields.IsReadBy(spec, field.Path)
                ? $"belongs to {field.BelongsTo} only"
                : $"has no effect in {TaskFields.Describe(spec)}";
            return new(field.Path, field.Text(value!), reason, "remove it");
        }

        if (value is null or "" || (field.ZeroIsAbsent && JobField.IsUnset(value)))
        {
            var path = field.Path.Replace(".name", "");
            return new(
                path, null, "is missing", path == field.Path ? field.Remedy(null) : $"name one of {field.Range.Replace(" or ", ", ")}");
        }

        if (field.Accepts(value))
            return null;
        return field.Path is "task.name" or "model.name" or "data.name" or "hyperparameters.optimizer.name"
            or "hyperparameters.schedule.name"
            ? UnknownName(field, (string)value)
            : new(field.Path, Shown(field, value), $"must be {field.Range}", field.Remedy(value));
    }

    private static JobFileViolation UnknownName(JobField field, string name)
    {
        var known = field.Range.Split(" or ");
        var kind = field.Path.Split('.')[^2] switch { "data" => "data set", var noun => noun };
        var remedy = NearestName.Of(name, known) is { } near ? $"did you mean {near}?" : $"the known ones are {string.Join(", ", known)}";
        return new(field.Path, name, $"no {kind} of that name is known", remedy);
    }

    private static IEnumerable<JobFileViolation> OptionFaults(ModelSpec given)
    {
        if (!ModelCatalog.TryGet(given.Name, out var model))
            yield break;
        foreach (var (name, value) in given.Options.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var path = $"model.options.{JobFileViolation.Shown(name)}";
            var text = OptionDefinition.Text(value);
            if (model.Option(name) is not { } option)
            {
                var known = model.Options.Select(candidate => candidate.Name).ToList();
                var remedy = NearestName.Of(name, known) is { } near
                    ? $"did you mean {near}?"
                    : $"its options are {string.Join(", ", known)}";
                yield return new(path, text, $"{model.Name} has no such option", remedy);
            }
            else if (option.Coerce(value) is not { } coerced || !option.IsAllowed(coerced))
            {
                var remedy = option.Words.Length > 0 && NearestName.Of(text, option.Words) is { } near
                    ? $"did you mean {near}?"
                    : Example(option);
                yield return new(path, text, $"must be {option.Allowed}", remedy);
            }
        }
    }

    private static string Example(OptionDefinition option) =>
        option.Default is { } value ? $"use {OptionDefinition.Text(value)} or leave it out" : "leave it out to take it from the data";

    private static IEnumerable<JobFileViolation> LabelFaults(string path, IEnumerable<KeyValuePair<string, string>> labels)
    {
        var sorted = labels.OrderBy(label => label.Key, StringComparer.Ordinal).ToList();
        if (sorted.Count > MaxLabels)
            yield return new(path, $"{sorted.Count} labels", $"must be at most {MaxLabels}", "remove some");
        foreach (var (key, value) in sorted.Take(MaxLabels))
        {
            if (!LabelKeyPattern().IsMatch(key))
            {
                yield return new($"{path}.{JobFileViolation.Shown(key)}", value,
                    "its key must be 1 to 63 letters, digits, \".\", \"_\", \"/\" or \"-\", the first a letter or digit",
                    "rename the label");
            }
            else if (value.Length > 63 || value.Any(char.IsControl))
            {
                yield return new($"{path}.{key}", value, "must be at most 63 characters on one line", "shorten it");
            }
        }
    }

    private static bool IsGiven(JobSpec received, JobField field)
    {
        System.Func<object?, bool> said = field.Path.Contains('.') && !field.ZeroIsAbsent
            ? value => value is not (null or "") && !(value is System.Enum && JobField.IsUnset(value))
            : value => !JobField.IsUnset(value);
        return field.HolderIsPresent(received) && said(field.Get(received));
    }

    private static string Shown(JobField field, object value) => value is string text && text.Any(char.IsWhiteSpace)
        ? string.Create(CultureInfo.InvariantCulture, $"\"{text}\"")
        : field.Text(value);

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex LabelKeyPattern();
}
