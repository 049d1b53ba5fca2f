using System.Diagnostics;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Cluster.Architecture.Tests.Kubernetes;

/// <summary>What is applied to a cluster: an overlay as kubectl renders it, or the chart with a file of values.</summary>
internal static partial class Manifests
{
    public static IReadOnlyList<YamlMappingNode> Overlay(string name) => Documents(OverlayText(name));

    public static string OverlayText(string name) => Kustomized(Repository.PathOf($"deploy/k8s/{name}"));

    public static string Kustomized(string folder)
    {
        using var kubectl = Process.Start(new ProcessStartInfo("kubectl", ["kustomize", folder])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = kubectl.StandardError.ReadToEndAsync();
        var yaml = kubectl.StandardOutput.ReadToEnd();
        kubectl.WaitForExit();
        if (errors.GetAwaiter().GetResult() is var said && kubectl.ExitCode != 0)
        {
            // Debian 12's: its kustomize is of 2019, and knows no overlay of folders.
            Assert.SkipWhen(said.Contains("must be a file") || said.Contains("unknown field"), $"this kubectl is too old: {said}");
            throw new InvalidOperationException(said);
        }

        return yaml;
    }

    public static IReadOnlyList<YamlMappingNode> Chart(string values, params (string Path, string Value)[] set) =>
        [.. HelmChart.Render("deploy/helm/cluster", values, set).SelectMany(Documents)];

    public static IReadOnlyList<YamlMappingNode> Documents(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return [.. stream.Documents.Select(document => document.RootNode).OfType<YamlMappingNode>()];
    }

    /// <summary>
    /// An object so written that two are the same text if they mean the same: keys in order, lists of named things in the order of their
    /// names, numbers told from text; without what tells the two tools apart.
    /// </summary>
    public static string Canonical(YamlNode node) => node switch
    {
        YamlMappingNode mapping => "{" + string.Join(", ", mapping.Children
            .Where(each => !IsTools(each.Key.ToString()))
            .Select(each => $"{each.Key}: {Canonical(each.Value)}")
            .Where(each => !each.EndsWith(": {}", StringComparison.Ordinal) || each == "emptyDir: {}")
            .Order(StringComparer.Ordinal)) + "}",
        YamlSequenceNode sequence => "[" + string.Join(", ", Sorted(sequence).Select(Canonical)) + "]",
        YamlScalarNode { Style: ScalarStyle.Plain } plain when Number().IsMatch(plain.Value!) => plain.Value!,
        YamlScalarNode scalar => $"'{Hash().Replace(scalar.Value!, "")}'",
        _ => throw new NotSupportedException($"{node}"),
    };

    public static string Name(YamlMappingNode document) => Hash().Replace(Text(document, "metadata", "name"), "");

    public static IEnumerable<YamlMappingNode> Sequence(YamlMappingNode node, params string[] path) =>
        Get(node, path) is YamlSequenceNode sequence ? sequence.Children.Cast<YamlMappingNode>() : [];

    public static string Text(YamlMappingNode node, params string[] path) =>
        (Get(node, path) as YamlScalarNode)?.Value ?? throw new KeyNotFoundException(string.Join('.', path));

    public static YamlNode? Get(YamlNode node, params string[] path)
    {
        var here = node;
        foreach (var key in path)
        {
            if (here is not YamlMappingNode mapping || !mapping.Children.TryGetValue(new YamlScalarNode(key), out here))
                return null;
        }

        return here;
    }

    private static bool IsTools(string key) =>
        key is "namespace" or "checksum/config" || key.StartsWith("helm.sh/", StringComparison.Ordinal);

    private static IEnumerable<YamlNode> Sorted(YamlSequenceNode sequence) =>
        sequence.Children.All(child => child is YamlMappingNode named && Get(named, "name") is not null)
            ? sequence.Children.OrderBy(child => Text((YamlMappingNode)child, "name"), StringComparer.Ordinal)
            : sequence.Children.All(child => child is YamlMappingNode mount && Get(mount, "mountPath") is not null)
                ? sequence.Children.OrderBy(child => Text((YamlMappingNode)child, "mountPath"), StringComparer.Ordinal)
                : sequence.Children;

    [GeneratedRegex(@"^(-?\d+|true|false)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 30000)]
    private static partial Regex Number();

    // By which kustomize tells versions of generated configuration apart.
    [GeneratedRegex(@"(?<=^collector)-[a-z0-9]{10}$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 30000)]
    private static partial Regex Hash();
}
