using System.Text.RegularExpressions;

namespace Cluster.Architecture.Tests;

/// <summary>Links between the pages of documentation lead somewhere: to files that are there, and to headings that they have.</summary>
public sealed partial class LinkTests
{
    private static readonly string[] Skipped = ["artifacts", "node_modules", ".git", ".cluster"];

    [Fact]
    public void EveryLink_LeadsSomewhere()
    {
        var pages = Directory.EnumerateFiles(Repository.Root, "*.md", SearchOption.AllDirectories)
            .Where(page => !Path.GetRelativePath(Repository.Root, page).Split('/').Intersect(Skipped).Any()).ToList();

        pages.Count.ShouldBeGreaterThan(15);
        pages.SelectMany(Broken).ShouldBeEmpty();
    }

    private static IEnumerable<string> Broken(string page)
    {
        foreach (var link in Link().Matches(File.ReadAllText(page)).Where(link => !link.Groups["to"].Value.Contains(':')))
        {
            var parts = link.Groups["to"].Value.Split('#');
            var (file, heading) = (parts[0], parts.ElementAtOrDefault(1) ?? "");
            var target = file.Length == 0 ? page : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(page)!, file));
            if (!Path.Exists(target) || (heading.Length > 0 && !Headings(target).Contains(heading)))
                yield return $"{Path.GetRelativePath(Repository.Root, page)}: {link.Groups["to"].Value}";
        }
    }

    /// <summary>As GitHub makes anchors of them.</summary>
    private static IEnumerable<string> Headings(string page) => File.ReadLines(page).Where(line => line.StartsWith('#'))
        .Select(line => new string([.. line.TrimStart('#').Trim().ToLowerInvariant()
            .Where(letter => char.IsLetterOrDigit(letter) || letter is ' ' or '-' or '_')]).Replace(' ', '-'));

    [GeneratedRegex(@"\]\((?<to>[^)\s]+)\)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Link();
}
