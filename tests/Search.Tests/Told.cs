using System.Globalization;

namespace Cluster.Search.Tests;

/// <summary>What a search decides, in words that a table of expected decisions can hold.</summary>
internal static class Told
{
    /// <summary>"create 3→1, continue 2→9, stop 1, close"; empty: nothing.</summary>
    public static string Words(IEnumerable<SearchAction> actions) => string.Join(", ", actions.Select(action => action switch
    {
        SearchAction.Create(var trial, var length) => $"create {trial}→{length}",
        SearchAction.Continue(var trial, var length) => $"continue {trial}→{length}",
        SearchAction.Stop(var trial, _) => $"stop {trial}",
        _ => "close",
    }));

    /// <summary>Reads "2@1 0.4" (trial 2 has reached length 1 with that metric), "2 failed" and "2 invalid".</summary>
    public static TrialReport Report(string text)
    {
        var (who, what) = text.Split(' ') is [var first, var second] ? (first, second) : throw new FormatException(text);
        return what switch
        {
            "failed" => new TrialReport.Failed(int.Parse(who, CultureInfo.InvariantCulture)),
            "invalid" => new TrialReport.Invalid(int.Parse(who, CultureInfo.InvariantCulture)),
            _ when who.Split('@') is [var trial, var length] => new TrialReport.Reached(
                int.Parse(trial, CultureInfo.InvariantCulture), int.Parse(length, CultureInfo.InvariantCulture),
                double.Parse(what, CultureInfo.InvariantCulture)),
            _ => throw new FormatException(text),
        };
    }

    /// <summary>Each row is a report, an arrow and what is to be decided on it.</summary>
    public static void ShouldDecide(this HyperparameterSearch search, string table)
    {
        foreach (var row in table.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var (report, decisions) = row.Split("=>") is [var left, var right] ? (left.Trim(), right.Trim()) : (row, "");
            Words(search.Apply(Report(report))).ShouldBe(decisions, report);
        }
    }
}
