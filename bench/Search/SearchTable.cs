using System.Text.Json;

namespace Cluster.Bench.Search;

/// <summary>What every setting of a grid came to after each epoch, recorded once: searches over it need train nothing.</summary>
/// <param name="About">What was trained, in words.</param>
/// <param name="Rows">Those that are recorded, in the grid's order.</param>
internal sealed record SearchTable(string About, IReadOnlyList<SearchRow> Rows)
{
    public int Epochs => Rows[0].Accuracies.Count;

    public static SearchTable Read(string path) =>
        JsonSerializer.Deserialize<SearchTable>(File.ReadAllText(path), JsonSerializerOptions.Web)
        ?? throw new FormatException($"{path} holds no table");

    /// <summary>At once and whole, a setting a line.</summary>
    public void Write(string path)
    {
        var rows = Rows.Select(row => JsonSerializer.Serialize(row, JsonSerializerOptions.Web));
        File.WriteAllText(path + ".new", $"{{\"about\":{JsonSerializer.Serialize(About)},\"rows\":[\n{string.Join(",\n", rows)}\n]}}\n");
        File.Move(path + ".new", path, overwrite: true);
    }
}

/// <param name="Setting">Its name.</param>
/// <param name="Accuracies">In validation, by epoch from 0.</param>
internal sealed record SearchRow(string Setting, IReadOnlyList<double> Accuracies);
