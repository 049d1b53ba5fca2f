using System.Text.RegularExpressions;

namespace Cluster.Architecture.Tests;

/// <summary>Private fields are _camelCase; what never changes and belongs to the type (static readonly, const) is PascalCase.</summary>
/// <remarks>
/// Networks are exempt (shared/Models, and what registers components): their fields' names are state-dict keys, PyTorch's.
/// </remarks>
public sealed partial class FieldNameTests
{
    private static readonly string[] Trees = ["bench", "clients", "services", "shared/Contracts", "tests"];

    [Fact]
    public void PrivateFields_BeginWithAnUnderscore()
    {
        var files = Trees.SelectMany(tree => Directory.EnumerateFiles(Repository.PathOf(tree), "*.cs", SearchOption.AllDirectories))
            .ToList();

        var odd = files.Select(path => (Path: Path.GetRelativePath(Repository.Root, path), Text: File.ReadAllText(path)))
            .Where(file => !file.Text.Contains("RegisterComponents(", StringComparison.Ordinal))
            .SelectMany(file => Odd(file.Text).Select(field => $"{file.Path}: {field}"));

        files.Count.ShouldBeGreaterThan(500);
        odd.ShouldBeEmpty();
    }

    [Fact]
    public void FieldOfAnotherStyle_IsFound() =>
        Odd("""
            class C(int primary)
            {
                private readonly Dictionary<string, (int A, int B)> counts = [];
                private static int made;
                private volatile bool done, _ended;
                private unsafe float* values;
                private int _count, more;
                private readonly int _right = primary;
                private static readonly string[] Words = [];
                private const int Most = 3;
                private int Sum() => more;
                private int Property { get; set; }
                private Func<int, int> Twice => x => 2 * x;
            }
            """).ShouldBe(["counts", "made", "done", "values", "more"]);

    private static IEnumerable<string> Odd(string text) =>
        from Match field in Field().Matches(text)
        from Capture name in field.Groups["name"].Captures
        where !name.Value.StartsWith('_') && !(char.IsAsciiLetterUpper(name.Value[0]) && field.Groups["fixed"].Success)
        select name.Value;

    // private, other modifiers, a type (which may have blanks in <>, [] and () only), and names up to a value or the end.
    [GeneratedRegex(
        @"^[ ]+private[ ]((?<fixed>const|static[ ]readonly)[ ]|(static|readonly|volatile|unsafe)[ ])*"
            + @"(\w|[.?*]|<[^;={}]*>|\[[,]*\]|\((?=[^;=(){}]*\)[ ?\[])[^;=(){}]*\))+[ ](?<name>\w+)(,[ ](?<name>\w+))*[ ]*(=[^>]|;)",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 30_000)]
    private static partial Regex Field();
}
