namespace Cluster.Architecture.Tests;

/// <summary>
/// What .editorconfig says about lines (max_line_length), which no analyzer holds: code, comments, scripts and prose alike.
/// </summary>
/// <remarks>
/// Exempt is what nobody wraps: vendored files, lock files, licences, JSON and the solution, which tools write, and a Markdown table's
/// rows, which end where their line does.
/// </remarks>
public sealed class LineLengthTests
{
    private const int MaxLength = 140;

    private static readonly string[] Vendored = ["services/Dashboard/wwwroot/lib/"];

    private static readonly HashSet<string> Exempt = [".json", ".sln", ".png", ".ico", ".binpb"];

    // Built or written by tools and programs, none of it kept in the repository.
    private static readonly HashSet<string> NotKept = [".git", ".cluster", ".vs", ".vscode", ".idea", "artifacts", "bin", "obj",
        "node_modules", "__pycache__"];

    [Fact]
    public void EveryLine_EndsByTheLimit()
    {
        var files = FilesIn(new DirectoryInfo(Repository.Root)).ToList();

        var tooLong = files.SelectMany(
            file => TooLong(Path.GetRelativePath(Repository.Root, file.FullName), File.ReadLines(file.FullName)));

        files.Count(file => file.Extension == ".cs").ShouldBeGreaterThan(500);
        tooLong.ShouldBeEmpty();
    }

    [Fact]
    public void Limit_IsTheOneThatEditorsAreTold() =>
        File.ReadLines(Repository.PathOf(".editorconfig")).ShouldContain($"max_line_length = {MaxLength}");

    [Fact]
    public void LineThatIsTooLong_IsNamedByFileAndNumber()
    {
        var lines = new[] { new string('x', MaxLength), new string('é', MaxLength + 1), "| " + new string('x', MaxLength) };

        TooLong("a.cs", lines).ShouldBe(["a.cs:2: 141 characters", "a.cs:3: 142 characters"]);
        TooLong("a.md", lines).ShouldBe(["a.md:2: 141 characters"]);
    }

    private static IEnumerable<string> TooLong(string path, IEnumerable<string> lines) => lines
        .Select((line, index) => (Text: line, Number: index + 1))
        .Where(line => line.Text.Length > MaxLength && !(path.EndsWith(".md", StringComparison.Ordinal) && line.Text.StartsWith('|')))
        .Select(line => $"{path}:{line.Number}: {line.Text.Length} characters");

    private static IEnumerable<FileInfo> FilesIn(DirectoryInfo folder) =>
        folder.EnumerateDirectories().Where(inner => !NotKept.Contains(inner.Name) && inner.LinkTarget is null).SelectMany(FilesIn)
            .Concat(
                folder.EnumerateFiles().Where(file => file.LinkTarget is null && !Exempt.Contains(file.Extension) && !IsVendored(file)));

    private static bool IsVendored(FileInfo file) =>
        Vendored.Any(path => file.FullName.StartsWith(Repository.PathOf(path), StringComparison.Ordinal));
}
