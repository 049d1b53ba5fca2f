using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Cluster.EndToEnd.Tests.Telemetry;

/// <summary>The queries of deploy/telemetry, as Grafana and Prometheus ask them of a farm that has run for no more than a minute.</summary>
internal static partial class StoredQueries
{
    private static string Folder => Path.Combine(Shell.Root, "deploy", "telemetry");

    /// <summary>Of each dashboard's panels.</summary>
    /// <returns>Where it stands, what is asked, and whether exemplars are shown with it.</returns>
    public static IEnumerable<(string Where, string Query, bool Exemplars)> OfPanels() =>
        from dashboard in Dashboards()
        from panel in dashboard.Content["panels"]!.AsArray()
        from target in panel!["targets"]!.AsArray()
        let query = (string)target!["expr"]!
        select ($"{dashboard.Name}, {panel["title"]}", Filled(query, dashboard.Content), (bool?)target["exemplar"] ?? false);

    /// <summary>Of the lists that a dashboard lets choose from: a series and its label.</summary>
    public static IEnumerable<(string Where, string Series, string Label)> OfLists() =>
        from dashboard in Dashboards()
        from variable in Variables(dashboard.Content)
        let parts = LabelValues().Match((string)variable["query"]!)
        select ($"{dashboard.Name}, {variable["label"]}", parts.Groups["series"].Value, parts.Groups["label"].Value);

    /// <summary>
    /// What each alert compares, without the comparison: an alert's own answer is empty while nothing is wrong. Of the time before, which a
    /// young farm does not have, only the length is left.
    /// </summary>
    public static IEnumerable<(string Alert, string Query)> OfAlerts() =>
        from alert in AlertExpression().Matches(File.ReadAllText(Path.Combine(Folder, "alerts.yaml")))
        from query in Operands(Blanks().Replace(alert.Groups["expression"].Value, " "))
        where !double.TryParse(query, CultureInfo.InvariantCulture, out _)
        select (alert.Groups["name"].Value, query.Replace(" offset 10m", "").Replace(":1m]", ":1s]"));

    /// <summary>The operands of a query's outermost comparisons and set operators.</summary>
    internal static IReadOnlyList<string> Operands(string query)
    {
        var (operands, begin, depth) = (new List<string>(), 0, 0);
        for (var at = 0; at < query.Length; at++)
        {
            depth += query[at] switch { '(' or '[' or '{' => 1, ')' or ']' or '}' => -1, _ => 0 };
            if (depth == 0 && Operator().Match(query, at) is { Success: true } found && found.Index == at)
            {
                operands.Add(query[begin..at].Trim());
                begin = at + found.Length;
                at = begin - 1;
            }
        }

        return [.. operands, query[begin..].Trim()];
    }

    private static IEnumerable<(string Name, JsonNode Content)> Dashboards() =>
        Directory.EnumerateFiles(Path.Combine(Folder, "grafana", "dashboards"), "*.json")
            .Select(file => (Path.GetFileName(file), JsonNode.Parse(File.ReadAllText(file))!));

    private static IEnumerable<JsonNode> Variables(JsonNode dashboard) => dashboard["templating"]!["list"]!.AsArray().Select(list => list!);

    private static string Filled(string query, JsonNode dashboard) => Variables(dashboard)
        .Aggregate(query, (text, variable) => text.Replace($"${variable["name"]}", (string)variable["allValue"]!))
        .Replace("$__rate_interval", "20s");

    [GeneratedRegex(@"^label_values\((?<series>.*), (?<label>\w+)\)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex LabelValues();

    [GeneratedRegex(@"- alert: (?<name>\w+)\n\s+expr: (>-\n)?(?<expression>.*?)\n\s+(for|labels):", RegexOptions.ExplicitCapture
        | RegexOptions.Singleline, 1000)]
    private static partial Regex AlertExpression();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Blanks();

    [GeneratedRegex(@"([<>]=?|[=!]=|\b(and|or|unless)\b( (on|ignoring) \([^)]*\))?)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Operator();
}
