using System.Globalization;
using Cluster.Bench.Reporting;

namespace Cluster.Bench.Training;

/// <summary>One row, in images a second of all ranks together.</summary>
/// <param name="Entry">What was measured.</param>
/// <param name="Ours">This system's trainers.</param>
/// <param name="Peers">The others, by name.</param>
/// <param name="Rounds">That the medians are of.</param>
internal sealed record TrainRow(TrainEntry Entry, double Ours, IReadOnlyDictionary<string, double> Peers, int Rounds)
{
    public IEnumerable<RatioRow> Comparisons =>
        TrainContest.Peers.Where(Peers.ContainsKey)
            .Select(peer => RatioRow.MoreIsBetter($"{Entry.Name} vs {peer}", Ours, Peers[peer], "images/s"));

    public static MarkdownTable Table() => new(
        [
            "network", "batch a rank", "threads a rank", "instruction sets", "rounds", "ours, images/s",
            .. TrainContest.Peers.SelectMany(peer => (string[])[peer, "ratio"]),
        ]);

    public IReadOnlyList<string> Cells() =>
    [
        Entry.Name, $"{Entry.Network.Batch} × {Entry.Network.Channels} × {Entry.Network.InputSize}²", $"{Entry.Threads}", Entry.Sets.Name,
        $"{Rounds}",
        RatioReport.Figure(Ours), .. TrainContest.Peers.SelectMany(CellsOf),
    ];

    private string[] CellsOf(string peer) =>
        Peers.TryGetValue(peer, out var figure)
            ? [RatioReport.Figure(figure), (Ours / figure).ToString("0.00", CultureInfo.InvariantCulture)]
            : ["", ""];
}
