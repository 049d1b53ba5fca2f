using System.Globalization;
using Cluster.Bench.Reporting;

namespace Cluster.Bench.Training;

/// <summary>One network on so many ranks, in images a second of all ranks together.</summary>
/// <param name="Name">Model and ranks.</param>
/// <param name="Network">What was trained.</param>
/// <param name="Threads">Of a rank.</param>
/// <param name="Ours">This system's trainers.</param>
/// <param name="AsInstalled">PyTorch in the environment of whoever ran the bench.</param>
/// <param name="SameEnvironment">PyTorch in our trainers' environment.</param>
internal sealed record TrainRow(string Name, TrainCase Network, int Threads, double Ours, double AsInstalled, double SameEnvironment)
{
    public List<RatioRow> Comparisons =>
    [
        RatioRow.MoreIsBetter($"{Name} vs as installed", Ours, AsInstalled, "images/s"),
        RatioRow.MoreIsBetter($"{Name} vs same environment", Ours, SameEnvironment, "images/s"),
    ];
}

/// <summary>All rows as a Markdown table.</summary>
internal sealed class TrainTable(TextWriter output)
{
    private readonly List<TrainRow> _rows = [];

    public void Add(TrainRow row) => _rows.Add(row);

    public void Print()
    {
        output.WriteLine("| network | batch a rank | threads a rank | ours, images/s | PyTorch as installed | ratio | PyTorch, "
            + "same environment | ratio |");
        output.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var row in _rows)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {row.Name} | {row.Network.Batch} × {row.Network.Channels} × {row.Network.InputSize}² | {row.Threads} | {row.Ours:0.0} "
                    + $"| {row.AsInstalled:0.0} | {row.Ours / row.AsInstalled:0.00} | {row.SameEnvironment:0.0} | "
                    + $"{row.Ours / row.SameEnvironment:0.00} |"));
        }
    }
}
