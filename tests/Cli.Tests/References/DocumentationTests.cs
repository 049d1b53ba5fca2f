using System.CommandLine;
using System.Text.RegularExpressions;

namespace Cluster.Cli.Tests.References;

/// <summary>
/// What documentation tells people to type is there: each verb, and each option as one of its verb. docs/cli.md is made from the program.
/// </summary>
public sealed partial class DocumentationTests
{
    // Those of the script itself, which are no part of this program.
    private static readonly string[] OfTheScript = ["setup", "up", "down", "backup", "restore", "demo", "test", "bench", "data", "help"];

    public static TheoryData<string> Pages =>
    [
        "README.md", "examples/README.md", "clients/python/README.md",
        .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md").Select(page => $"docs/{Path.GetFileName(page)}")
            .Where(page => page != "docs/cli.md").Order(),
    ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void EveryCommand_IsOne(string page)
    {
        var root = CommandLine.Tree(new CliRun().Host(TextWriter.Null));

        File.ReadLines(Path.Combine(Repository.Root, page)).SelectMany(line => Call().Matches(line))
            .Select(call => (Text: call.Value, Fault: Fault(root, call.Groups["words"].Value)))
            .Where(call => call.Fault is not null).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("job list --state queued", null)]
    [InlineData("job submit job.yaml -f", null)]
    [InlineData("up --schedulers 3", null)]
    [InlineData("job validate", "job has no verb validate")]
    [InlineData("job list --sate queued", "list has no option --sate")]
    public void ACommandThatIsNone_IsFound(string words, string? fault) =>
        Fault(CommandLine.Tree(new CliRun().Host(TextWriter.Null)), words).ShouldBe(fault);

    private static string? Fault(Command root, string words)
    {
        var (at, given) = (root, new List<Option>(root.Options));
        foreach (var word in words.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (at == root && OfTheScript.Contains(word))
                return null;
            if (at.Subcommands.FirstOrDefault(verb => verb.Name == word) is { } verb)
            {
                at = verb;
                given.AddRange(verb.Options);
            }
            else if (Name().Match(word) is { Success: true } option)
            {
                if (!given.Exists(known => known.Name == option.Value || known.Aliases.Contains(option.Value)))
                    return $"{at.Name} has no option {option.Value}";
            }
            else if (at.Subcommands.Count > 0 && at.Arguments.Count == 0 && Verb().IsMatch(word))
            {
                return $"{at.Name} has no verb {word}";
            }
        }

        return null;
    }

    // To the end of the code, or what a shell takes for the end of a command.
    [GeneratedRegex(@"\./cluster (?<words>[^`#&|;<>()\n]*)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Call();

    [GeneratedRegex("^--?[a-z][a-z-]*", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Name();

    [GeneratedRegex("^[a-z][a-z-]*$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Verb();
}
