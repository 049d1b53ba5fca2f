using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Cluster.Bench.Reporting;

/// <summary>
/// Prints rows as they are measured: a table, or one JSON object a line with everything else on standard error, or at the end a section of
/// RESULTS.md with what is measured meanwhile on standard error.
/// </summary>
internal sealed class RatioReport
{
    private const string Layout = "{0,-56} {1,12} {2,12} {3,9}  {4}";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Of the lines of RESULTS.md.</summary>
    private const int MaxLineLength = 140;

    private readonly string _title;
    private readonly string _command;
    private readonly bool _isMarkdown;
    private readonly List<string> _notes = [];
    private readonly MarkdownTable _table = new("what", "ours", "peer", "ratio", "unit");
    private bool _headed;

    private RatioReport(string title, string command, bool isJson, bool isMarkdown) =>
        (_title, _command, IsJson, _isMarkdown) = (title, command, isJson, isMarkdown);

    public static Option<bool> JsonOption { get; } = new("--json")
    {
        Description = "print one JSON object a line: name, ours, peer, ratio (above 1: ours is better), unit; memory has fields of its own",
    };

    public static Option<bool> MarkdownOption { get; } = new("--markdown") { Description = "print a section for RESULTS.md at the end" };

    public bool IsJson { get; }

    /// <summary>Where a person looks meanwhile.</summary>
    private TextWriter Screen => IsJson || _isMarkdown ? Console.Error : Console.Out;

    /// <param name="arguments">With both options.</param>
    /// <param name="title">Of the section.</param>
    public static RatioReport For(ParseResult arguments, string title) => new(
        title, $"./cluster bench {string.Join(' ', arguments.Tokens.Select(token => token.Value))}",
        arguments.GetValue(JsonOption), arguments.GetValue(MarkdownOption));

    /// <summary>What the reader must know to judge the rows.</summary>
    public void Note(string line)
    {
        Screen.WriteLine(line);
        _notes.Add(line);
    }

    /// <summary>What is of interest while one waits.</summary>
    public void Say(string line) => Screen.WriteLine(line);

    /// <summary>For rows that are no ratios.</summary>
    public static void AddJson<T>(T row) => Console.Out.WriteLine(JsonSerializer.Serialize(row, Json));

    public void Add(RatioRow row)
    {
        if (IsJson)
        {
            AddJson(row);
            return;
        }

        if (!_headed)
            Screen.WriteLine(string.Format(CultureInfo.InvariantCulture, Layout, "", "ours", "peer", "ratio", "unit"));
        _headed = true;
        var (ours, peer, ratio) = (Figure(row.Ours), Figure(row.Peer), row.Ratio.ToString("0.00", CultureInfo.InvariantCulture));
        Screen.WriteLine(string.Format(CultureInfo.InvariantCulture, Layout, row.Name, ours, peer, ratio, row.Unit));
        _table.Add(row.Name, ours, peer, ratio, row.Unit);
    }

    /// <summary>All has been measured.</summary>
    /// <param name="ofItsOwn">In the place of the ratios' table.</param>
    public void Finish(MarkdownTable? ofItsOwn = null)
    {
        if (!_isMarkdown)
            return;
        Console.Out.WriteLine($"## {_title}");
        Console.Out.WriteLine();
        foreach (var line in _notes.Prepend($"`{_command}`").SelectMany(Wrapped))
            Console.Out.WriteLine(line);
        Console.Out.WriteLine();
        (ofItsOwn ?? _table).Print(Console.Out);
    }

    /// <summary>An item of a list.</summary>
    private static IEnumerable<string> Wrapped(string item)
    {
        var line = "-";
        foreach (var word in item.Split(' '))
        {
            if (line.Length + 1 + word.Length > MaxLineLength)
            {
                yield return line;
                line = " ";
            }

            line += " " + word;
        }

        yield return line;
    }

    /// <summary>Three significant digits, written out.</summary>
    public static string Figure(double value) => value switch
    {
        >= 100 => value.ToString("0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("0.0", CultureInfo.InvariantCulture),
        >= 1 => value.ToString("0.00", CultureInfo.InvariantCulture),
        _ => value.ToString("0.000", CultureInfo.InvariantCulture),
    };
}
