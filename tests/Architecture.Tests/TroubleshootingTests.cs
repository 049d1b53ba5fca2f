using System.Text.RegularExpressions;

namespace Cluster.Architecture.Tests;

/// <summary>docs/operations.md quotes messages that the programs have.</summary>
public sealed partial class TroubleshootingTests
{
    [Fact]
    public void EveryMessage_StandsInTheSource()
    {
        var documentation = File.ReadAllText(Repository.PathOf("docs/operations.md"));
        var source = string.Join('\n', new[] { "services", "shared", "clients" }
            .SelectMany(folder => Directory.EnumerateFiles(Repository.PathOf(folder), "*.cs", SearchOption.AllDirectories))
            .Select(file => Joined().Replace(File.ReadAllText(file), "")));

        var rows = documentation[documentation.IndexOf("## Troubleshooting", StringComparison.Ordinal)..];
        var messages = Message().Matches(rows).Select(match => match.Groups["message"].Value).ToList();

        messages.Count.ShouldBeGreaterThan(15);
        // In each gap of the quotation one value stands, or several with a word between.
        messages.Where(message => !Regex.IsMatch(source, string.Join(@"(\{[^""\n]*\}|)", message.Split('…').Select(Regex.Escape)),
            RegexOptions.None, TimeSpan.FromSeconds(30))).ShouldBeEmpty();
    }

    // A text that is written on several lines.
    [GeneratedRegex("\"\\s*\\+\\s*\\$?\"", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex Joined();

    [GeneratedRegex("^\\| `(?<message>[^`]+)` \\|", RegexOptions.ExplicitCapture | RegexOptions.Multiline, 30000)]
    private static partial Regex Message();
}
