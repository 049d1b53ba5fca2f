using System.Globalization;
using System.Text.Json.Serialization;
using Cluster.Bench.Reporting;

namespace Cluster.Bench.Memory;

/// <summary>A job's estimate beside what its hungriest rank took.</summary>
internal sealed record MemoryRow(
    string Model, string Input, int Batch, string Split, string Optimizer, string Precision, long EstimatedBytes, long MeasuredBytes)
{
    private const string Layout = "{0,-14} {1,-10} {2,5} {3,-21} {4,-9} {5,-9} {6,14} {7,13} {8,7}";

    private static readonly string[] Settings = ["sgd, float32", "adam, float32", "sgd, float64", "adam, bfloat16"];

    [JsonIgnore]
    public static string Head => string.Format(
        CultureInfo.InvariantCulture, Layout,
        "model", "input", "batch", "two ranks by", "optimizer", "precision", "estimated MiB", "measured MiB", "ratio");

    /// <summary>Above 1: more was estimated than taken.</summary>
    [JsonIgnore]
    public double Ratio => (double)EstimatedBytes / MeasuredBytes;

    private string RatioText => Ratio.ToString("F2", CultureInfo.InvariantCulture);

    /// <summary>A line for each job, a column for each optimizer and precision: estimated / measured MiB, and the ratio.</summary>
    public static MarkdownTable Table(IEnumerable<MemoryRow> rows)
    {
        var table = new MarkdownTable(["model", "input", "batch a rank", "two ranks by", .. Settings]);
        foreach (var job in rows.GroupBy(row => (row.Model, row.Input, row.Batch, row.Split)))
        {
            var cells = job.ToDictionary(
                row => $"{row.Optimizer}, {row.Precision}",
                row => $"{row.EstimatedBytes >> 20} / {row.MeasuredBytes >> 20} {row.RatioText}");
            var figures = Settings.Select(setting => cells.GetValueOrDefault(setting, ""));
            table.Add([$"`{job.Key.Model}`", job.Key.Input, $"{job.Key.Batch}", job.Key.Split, .. figures]);
        }

        return table;
    }

    public override string ToString() => string.Format(
        CultureInfo.InvariantCulture, Layout,
        Model, Input, Batch, Split, Optimizer, Precision, EstimatedBytes >> 20, MeasuredBytes >> 20, RatioText);
}
