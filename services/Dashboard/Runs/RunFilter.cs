using System.Globalization;
using System.Text.RegularExpressions;
using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Runs;

/// <summary>
/// Which runs a table shows: all that meet every term. "lr&gt;0.01" and "model=alexnet" are of a column; a word by itself stands somewhere
/// in the run's words.
/// </summary>
public sealed partial class RunFilter
{
    private const int Patience = 1_000; // ms of a match in a line that a person types

    private readonly List<Func<Run, bool>> _terms = [];

    private RunFilter()
    {
    }

    /// <summary>What of it could not be read, in words; null: nothing.</summary>
    public string? Fault { get; private init; }

    public static RunFilter Parse(string text)
    {
        var terms = new List<Func<Run, bool>>();
        string? fault = null;
        foreach (Match term in Term().Matches(text))
        {
            var (key, compared, value) = (term.Groups["key"].Value, term.Groups["compared"].Value, term.Groups["value"].Value.Trim('"'));
            if (compared.Length == 0)
                terms.Add(Has(term.Value));
            else if (RunColumns.Find(key) is { } column)
                fault ??= Add(terms, column, compared, value);
            else
                fault ??= $"'{key}' is no column; there are {string.Join(", ", RunColumns.All.Select(known => known.Key))}";
        }

        var filter = new RunFilter { Fault = fault };
        filter._terms.AddRange(terms);
        return filter;
    }

    public bool Matches(Run run) => _terms.TrueForAll(term => term(run));

    private static string? Add(List<Func<Run, bool>> terms, RunColumn column, string compared, string value)
    {
        if (column.Number is not { } number)
        {
            if (compared is not ("=" or "!="))
                return $"'{column.Key}' is no number; compare it by = or !=";
            terms.Add(run => column.Text(run).Equals(value, StringComparison.OrdinalIgnoreCase) == (compared == "="));
            return null;
        }

        if (!double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var limit))
            return $"'{column.Key}' is a number, and '{value}' is none";
        terms.Add(run => number(run) is { } known && compared switch
        {
            "=" => known.Equals(limit),
            "!=" => !known.Equals(limit),
            "<" => known < limit,
            "<=" => known <= limit,
            ">" => known > limit,
            _ => known >= limit,
        });
        return null;
    }

    private static Func<Run, bool> Has(string word) => run => RunColumns.All.Where(column => !column.IsNumber)
        .Any(column => column.Text(run).Contains(word, StringComparison.OrdinalIgnoreCase));

    [GeneratedRegex("""(?<key>\w+)\s*(?<compared>!=|<=|>=|=|<|>)\s*(?<value>"[^"]*"|\S+)|\S+""", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex Term();
}
