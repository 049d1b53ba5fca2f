using System.Text.Json;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Jobs;

/// <param name="IsSet">It is not what a file without it would give: somebody has set it.</param>
internal sealed record JobFileLine(string Text, bool IsSet);

/// <summary>A resolved job file, and what of it was set by hand: what differs from the defaults of its model and data.</summary>
internal static class JobFileLines
{
    // What no job file can do without.
    private static readonly string[] Required = ["name", "model.name", "data.name", "data.folder"];

    public static IReadOnlyList<JobFileLine> Of(JobSpec spec)
    {
        var usual = Usual(spec)?.ToDictionary(line => line.Path, line => line.Text);
        return [.. Read(JobFile.Write(spec)).Select(line => new JobFileLine(line.Text, IsSet(line.Path, line.Text, usual)))];
    }

    // A key with nothing behind it only opens what follows.
    private static bool IsSet(string path, string text, Dictionary<string, string>? usual) =>
        usual is not null && !text.EndsWith(':') && (Required.Contains(path) || usual.GetValueOrDefault(path) != text);

    /// <summary>The lines of a file that says no more than which model on which data; null: no job can be without more than that.</summary>
    private static IEnumerable<(string Path, string Text)>? Usual(JobSpec spec)
    {
        var data = $"name: {JsonSerializer.Serialize(spec.Data.Name)}";
        if (DataCatalog.TryGet(spec.Data.Name, out var known) && known.IsFolder)
            data += $", folder: {JsonSerializer.Serialize(spec.Data.Folder)}, classes: {spec.Data.Classes}";
        try
        {
            var file = $"{{name: usual, model: {{name: {JsonSerializer.Serialize(spec.Model.Name)}}}, data: {{{data}}}}}";
            return Read(JobFile.Write(JobFile.Parse(file)));
        }
        catch (JobFileException)
        {
            return null;
        }
    }

    /// <summary>Each line with where it stands: "hyperparameters.optimizer.name", "after[1].job".</summary>
    private static IEnumerable<(string Path, string Text)> Read(string file)
    {
        var above = new List<(int Indent, string Path)>();
        var entries = new Dictionary<string, int>();
        foreach (var line in file.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var text = line.TrimStart(' ');
            var indent = line.Length - text.Length;
            above.RemoveAll(key => key.Indent >= indent);
            var parent = above.Count > 0 ? above[^1].Path : "";
            if (text.StartsWith("- ", StringComparison.Ordinal))
            {
                entries[parent] = entries.GetValueOrDefault(parent) + 1;
                parent = $"{parent}[{entries[parent]}]";
                above.Add((indent, parent));
                (indent, text) = (indent + 2, text[2..]);
            }

            var key = text[..Math.Max(0, text.IndexOf(':', StringComparison.Ordinal))];
            var path = parent.Length == 0 ? key : $"{parent}.{key}";
            above.Add((indent, path));
            yield return (path, line);
        }
    }
}
