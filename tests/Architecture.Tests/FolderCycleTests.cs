using System.Text.RegularExpressions;

namespace Cluster.Architecture.Tests;

/// <summary>Folders of a project use each other one way: what is taken in can be understood without what takes it in.</summary>
/// <remarks>
/// Read from the source, since a compiled assembly forgets constants. A file uses a folder where a using directive names it, or a
/// qualified name does. A project's own folder is seen by all others without either.
/// </remarks>
public sealed partial class FolderCycleTests
{
    private const string Own = "(project)";

    private const int Patience = 30_000; // ms of a match, on a machine that has other things to do

    [Theory]
    [InlineData("services/Worker", "Cluster.Worker", "Program.cs")]
    [InlineData("services/Scheduler", "Cluster.Scheduler", "Program.cs")]
    [InlineData("services/Dashboard", "Cluster.Dashboard", "Program.cs")]
    [InlineData("shared/Contracts", "Cluster.Contracts")]
    // These name networks and layers, which build on what lies beside them.
    [InlineData("shared/Models", "Cluster.Models", "CommonOptions.cs", "ImageClassifier.cs", "MixedPrecision.cs", "ModelRegistry.cs")]
    public void Folders_UseEachOtherOneWay(string project, string root, params string[] above)
    {
        var files = SourceFiles(project).Where(file => !above.Contains(file.Path)).ToList();

        files.Count.ShouldBeGreaterThan(20);
        Cycles(root, files).ShouldBeEmpty();
    }

    [Fact]
    public void CycleOverThreeFolders_IsFound() =>
        Cycles("Our", [
            new("A/One.cs", "using Our.B;\nnamespace Our.A;\nclass One { Two two; }"),
            new("B/Two.cs", "namespace Our.B.Inner;\nclass Two { Our.C.Three three; }"),
            new("C/Three.cs", "using static Our.A.One;\nnamespace Our.C;\nclass Three;"),
            new("D/Four.cs", "using Our.A;\nnamespace Our.D;\nclass Four { One one; }"),
        ]).ShouldBe(["A → B (A/One.cs)", "B → C (B/Two.cs)", "C → A (C/Three.cs)"]);

    [Fact]
    public void ProjectsOwnFolder_IsUsedByAllAndUsesNone() =>
        Cycles("Our", [
            new("Base.cs", "using Our.A;\nnamespace Our;\nclass Base;"),
            new("A/One.cs", "namespace Our.A;\nclass One : Base;"),
        ]).ShouldBe(["(project) → A (Base.cs)"]);

    [Fact]
    public void WordsInCommentsAndStrings_AreNoUse() =>
        Cycles("Our", [
            new("A/One.cs", "using Our.B;\nnamespace Our.A;\nclass One { Two two; }"),
            new("B/Two.cs",
                "namespace Our.B;\n// Our.A.One\nclass Two { string s = \"Our.A.One\"; /* A.One */ Data A; int x => this.A.One; }"),
        ]).ShouldBeEmpty();

    private static IEnumerable<SourceFile> SourceFiles(string project) =>
        Directory.EnumerateFiles(Repository.PathOf(project), "*.cs", SearchOption.AllDirectories)
            .Select(path => new SourceFile(Path.GetRelativePath(Repository.PathOf(project), path), File.ReadAllText(path)))
            .Where(
                file => !file.Path.StartsWith("obj/", StringComparison.Ordinal) && !file.Path.StartsWith("bin/", StringComparison.Ordinal))
            .OrderBy(file => file.Path, StringComparer.Ordinal);

    /// <summary>Every use between two folders that leads back, each with a file that makes it.</summary>
    private static List<string> Cycles(string root, IReadOnlyList<SourceFile> files)
    {
        var types = files.SelectMany(file => Declared().Matches(file.Text).Select(match => (file.Folder, match.Groups["type"].Value)))
            .ToLookup(type => type.Folder, type => type.Value);
        var uses = files.SelectMany(file => Used(root, types, file).Select(to => (From: file.Folder, To: to, file.Path)))
            .DistinctBy(use => (use.From, use.To)).ToList();
        var next = uses.ToLookup(use => use.From, use => use.To);

        return [
            .. uses.Where(use => use.From == Own || Reaches(next, use.To, use.From)).Select(use => $"{use.From} → {use.To} ({use.Path})")];
    }

    private static IEnumerable<string> Used(string root, ILookup<string, string> types, SourceFile file)
    {
        var code = NoCode().Replace(file.Text, " ");
        var named = UsingOf(root).Matches(code).Select(match => match.Groups["folder"].Value).Where(types.Contains);
        var qualified = QualifiedOf(root, types).Matches(code)
            .Where(match => match.Groups["name"].Value.Split('.').Any(types[match.Groups["folder"].Value].Contains))
            .Select(match => match.Groups["folder"].Value);
        return named.Concat(qualified).Where(folder => folder != file.Folder).Distinct();
    }

    private static bool Reaches(ILookup<string, string> next, string from, string goal)
    {
        var seen = new HashSet<string> { from };
        var open = new Queue<string>(seen);
        while (open.TryDequeue(out var folder))
        {
            if (folder == goal)
                return true;
            foreach (var other in next[folder].Where(seen.Add))
                open.Enqueue(other);
        }

        return false;
    }

    // Comments and strings.
    [GeneratedRegex("//[^\\n]*|/\\*.*?\\*/|\"([^\"\\\\\\n]|\\\\.)*\"", RegexOptions.Singleline | RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex NoCode();

    [GeneratedRegex(@"\b(class|struct|interface|enum|record)\s+(?<type>[A-Z]\w*)", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex Declared();

    private static Regex UsingOf(string root) =>
        new($@"^using\s+(static\s+|\w+\s*=\s*)?{Regex.Escape(root)}\.(?<folder>\w+)",
            RegexOptions.Multiline | RegexOptions.ExplicitCapture, TimeSpan.FromMilliseconds(Patience));

    // Cluster.Worker.Data.X, Worker.Data.X or Data.X; a property of that name is followed by no type of that folder.
    private static Regex QualifiedOf(string root, ILookup<string, string> types)
    {
        var folders = string.Join('|', types.Select(folder => folder.Key).Where(folder => folder != Own));
        return new(
            $@"(?<![\w.])({Regex.Escape(root)}\.|{root.Split('.')[^1]}\.)?(?<folder>{folders})\.(?<name>[A-Z]\w*(\.[A-Z]\w*)*)",
            RegexOptions.ExplicitCapture, TimeSpan.FromMilliseconds(Patience));
    }

    private sealed record SourceFile(string Path, string Text)
    {
        public string Folder => Path.Contains('/') ? Path[..Path.IndexOf('/')] : Own;
    }
}
