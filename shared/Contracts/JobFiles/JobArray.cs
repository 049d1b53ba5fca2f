using System.Globalization;
using System.Text.RegularExpressions;

namespace Cluster.Contracts.JobFiles;

/// <summary>
/// <c>array: 0-15%4</c>: the same job sixteen times, at most four at once, with its number in the place of <c>${index}</c> in any value.
/// </summary>
internal sealed partial class JobArray
{
    private const string Index = "${index}";

    private readonly YamlScalar _given;
    private readonly int _first, _last;

    private JobArray(YamlScalar given, int first, int last, int atOnce) => (_given, _first, _last, AtOnce) = (given, first, last, atOnce);

    /// <summary>0: no limit.</summary>
    public int AtOnce { get; }

    /// <returns>Null where the file has none.</returns>
    /// <exception cref="JobFileException">It is none, or of too many jobs, or there are variants or a matrix beside it.</exception>
    public static JobArray? Of(YamlMapping document)
    {
        if (document.Value(ExperimentFile.Array) is not { } value)
            return null;
        if (document.Entries.FirstOrDefault(entry => entry.Key is ExperimentFile.Variants or ExperimentFile.Matrix) is { } other)
            throw Fault(other.Key, YamlTree.Describe(other.Value), "does not go with array", "keep one of the two", other.Line);
        if (value is not YamlScalar { Text: var text } given || Pattern().Match(text) is not { Success: true } match
            || Number(match, "last") < Number(match, "first"))
        {
            throw Fault(ExperimentFile.Array, YamlTree.Describe(value),
                "must be a first and a last number and, if there is a limit, how many jobs go on at once", "write it as 0-15 or 0-15%4",
                value.Line);
        }

        var (first, last) = (Number(match, "first"), Number(match, "last"));
        if (last - first + 1 > ExperimentFile.MaxVariants)
        {
            throw Fault(ExperimentFile.Array, $"{last - first + 1} jobs", $"must be at most {ExperimentFile.MaxVariants}",
                "submit several arrays", value.Line);
        }

        return new JobArray(given, first, last, match.Groups["limit"].Success ? Number(match, "limit") : 0);
    }

    /// <summary>Each job's number as text, and its own file.</summary>
    /// <param name="shared">The file without <c>array</c>.</param>
    public IReadOnlyList<(string Name, YamlMapping Document)> Jobs(YamlMapping shared)
    {
        if (shared.Entries.FirstOrDefault(entry => entry.Key is "name" or "workspace" && IsNumbered(entry.Value)) is { } own)
        {
            throw Fault(own.Key, YamlTree.Describe(own.Value), "is the array's and the same for all of its jobs",
                $"leave {Index} out; each job's name ends with its number", own.Line);
        }

        return [.. Enumerable.Range(_first, _last - _first + 1).Select(index => $"{index}").Select(index =>
            (index, (YamlMapping)Numbered(shared, index)))];
    }

    public JobFileException EqualJobs() => Fault(
        ExperimentFile.Array, _given.Shown, "its jobs would all be the same",
        $"write {Index} into a value that is to differ, such as seed", _given.Line);

    private static bool IsNumbered(YamlTree value) => value is YamlScalar scalar && scalar.Text.Contains(Index, StringComparison.Ordinal);

    /// <summary>What held the index may be a number then, though braces need quotes in some places.</summary>
    private static YamlTree Numbered(YamlTree value, string index) => value switch
    {
        YamlScalar scalar when IsNumbered(scalar) =>
            scalar with { Text = scalar.Text.Replace(Index, index, StringComparison.Ordinal), IsPlain = true },
        YamlSequence list => list with { Items = [.. list.Items.Select(item => Numbered(item, index))] },
        YamlMapping mapping => mapping with
        {
            Entries = [.. mapping.Entries.Select(entry => entry with { Value = Numbered(entry.Value, index) })],
        },
        _ => value,
    };

    private static int Number(Match match, string group) => int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    private static JobFileException Fault(string field, string? value, string problem, string remedy, int line) =>
        new([new JobFileViolation(field, value, problem, remedy, line)]);

    [GeneratedRegex("^(?<first>[0-9]{1,6})-(?<last>[0-9]{1,6})(?:%(?<limit>[1-9][0-9]{0,5}))?\\z",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Pattern();
}
