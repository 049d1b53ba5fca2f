using System.CommandLine;
using System.Globalization;
using System.Text.Json;

namespace Cluster.Bench.Reporting;

/// <summary>Prints rows as they are measured: a table, or one JSON object a line with everything else on standard error.</summary>
internal sealed class RatioReport(bool json, TextWriter output, TextWriter error)
{
    private const string Layout = "{0,-56} {1,12} {2,12} {3,9}  {4}";

    private static readonly JsonSerializerOptions Json = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private bool _headed;

    public static Option<bool> Option { get; } = new("--json")
    {
        Description = "print one JSON object a line: name, ours, peer, ratio (above 1: ours is better), unit",
    };

    public static RatioReport For(ParseResult arguments) => new(arguments.GetValue(Option), Console.Out, Console.Error);

    /// <summary>What the reader must know to judge the rows.</summary>
    public void Note(string line) => (json ? error : output).WriteLine(line);

    public void Add(RatioRow row)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(row, Json));
            return;
        }

        if (!_headed)
            output.WriteLine(string.Format(CultureInfo.InvariantCulture, Layout, "", "ours", "peer", "ratio", "unit"));
        _headed = true;
        output.WriteLine(string.Format(
            CultureInfo.InvariantCulture, Layout, row.Name, Figure(row.Ours), Figure(row.Peer),
            row.Ratio.ToString("0.00", CultureInfo.InvariantCulture), row.Unit));
    }

    /// <summary>Three significant digits, written out.</summary>
    private static string Figure(double value) => value switch
    {
        >= 100 => value.ToString("0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("0.0", CultureInfo.InvariantCulture),
        >= 1 => value.ToString("0.00", CultureInfo.InvariantCulture),
        _ => value.ToString("0.000", CultureInfo.InvariantCulture),
    };
}
