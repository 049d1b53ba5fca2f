using System.Text.Json;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Dashboard.Compare;

/// <summary>A setting that job files do not agree on.</summary>
/// <param name="Setting">Its path, as in a job file: "hyperparameters.optimizer.learningRate".</param>
/// <param name="Values">Of each file, in order; null: it has none.</param>
public sealed record Difference(string Setting, IReadOnlyList<string?> Values)
{
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithFormatDefaultValues(true));

    /// <summary>But for the name, by which they are told apart.</summary>
    public static IReadOnlyList<Difference> Between(IReadOnlyList<JobSpec> specs)
    {
        var files = specs.Select(Settings).ToList();
        return [.. files.SelectMany(file => file.Keys).Distinct()
            .Select(setting => new Difference(setting, [.. files.Select(file => file.GetValueOrDefault(setting))]))
            .Where(difference => difference.Values.Distinct().Skip(1).Any())];
    }

    /// <summary>A file's settings by their paths, but for its name.</summary>
    public static Dictionary<string, string> Settings(JobSpec spec)
    {
        var settings = new Dictionary<string, string>();
        using var document = JsonDocument.Parse(Formatter.Format(spec));
        Collect("", document.RootElement, settings);
        settings.Remove("name");
        // Whether a value is a default makes no difference.
        settings.Remove("given");
        return settings;
    }

    private static void Collect(string path, JsonElement element, Dictionary<string, string> settings)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            settings.Add(path, element.ToString());
            return;
        }

        foreach (var property in element.EnumerateObject())
        {
            // What stands between an option and its value is only which kind it is of.
            var inner = property.Name is "boolValue" or "intValue" or "doubleValue" or "stringValue"
                ? path
                : path.Length == 0 ? property.Name : $"{path}.{property.Name}";
            Collect(inner, property.Value, settings);
        }
    }
}
