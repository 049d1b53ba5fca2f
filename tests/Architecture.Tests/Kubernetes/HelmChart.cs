using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Cluster.Architecture.Tests.Kubernetes;

/// <summary>
/// Renders a chart that keeps to a small part of Helm's language, since Helm itself is in no registry that tests can install from: values,
/// conditions on lines of their own, and files. Whatever else stands in a template is a fault.
/// </summary>
internal static partial class HelmChart
{
    /// <param name="set">As Helm's --set: values by their paths, before those of files.</param>
    public static IEnumerable<string> Render(string chart, string values, params (string Path, string Value)[] set)
    {
        var folder = Repository.PathOf(chart);
        var given = new[] { values, "values.yaml" }.Select(file => File.ReadAllText(Path.Combine(folder, file)))
            .Select(text => Manifests.Documents(text).Single()).ToList();
        foreach (var template in Directory.GetFiles(Path.Combine(folder, "templates"), "*.yaml").Order(StringComparer.Ordinal))
            yield return Render(
                File.ReadAllLines(template), folder, path => set.FirstOrDefault(each => each.Path == path).Value ?? Find(given, path));
    }

    /// <summary>The value of the first file that has it.</summary>
    private static string Find(IEnumerable<YamlMappingNode> given, string path) =>
        given.Select(values => Manifests.Get(values, path.Split('.'))).OfType<YamlScalarNode>().FirstOrDefault()?.Value
            ?? throw new InvalidOperationException($".Values.{path} is in no file of values");

    private static string Render(IEnumerable<string> lines, string folder, Func<string, string> value)
    {
        var text = new StringBuilder();
        var conditions = new Stack<bool>();
        foreach (var line in lines)
        {
            if (Condition().Match(line) is { Success: true } condition)
            {
                switch (condition.Groups["word"].Value)
                {
                    case "else":
                        conditions.Push(!conditions.Pop());
                        break;
                    case "end":
                        conditions.Pop();
                        break;
                    default:
                        // As Helm takes it: these are false, and all else is true.
                        conditions.Push(value(condition.Groups["path"].Value) is not ("" or "0" or "false"));
                        break;
                }
            }
            else if (conditions.All(holds => holds))
            {
                var rendered = FileIndented().Replace(Value().Replace(line, match => value(match.Groups["path"].Value)), match => Indented(
                    File.ReadAllText(Path.Combine(folder, match.Groups["file"].Value)), int.Parse(match.Groups["columns"].Value)));
                rendered = FileHash().Replace(rendered, match => Convert.ToHexStringLower(
                    SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, match.Groups["file"].Value)))));
                text.Append(rendered.Contains("{{", StringComparison.Ordinal)
                    ? throw new NotSupportedException($"this renderer does not know: {line}")
                    : rendered).Append('\n');
            }
        }

        conditions.ShouldBeEmpty();
        return text.ToString();
    }

    private static string Indented(string text, int columns) =>
        string.Join('\n', text.Split('\n').Select(line => new string(' ', columns) + line));

    [GeneratedRegex(@"^\s*\{\{- ((?<word>if) \.Values\.(?<path>[\w.]+)|(?<word>else|end)) \}\}$", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex Condition();

    [GeneratedRegex(@"\{\{ \.Values\.(?<path>[\w.]+) \}\}", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex Value();

    [GeneratedRegex("""\{\{ \.Files\.Get "(?<file>[\w./-]+)" \| indent (?<columns>\d+) \}\}""", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex FileIndented();

    [GeneratedRegex("""\{\{ \.Files\.Get "(?<file>[\w./-]+)" \| sha256sum \}\}""", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex FileHash();
}
