using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Nodes;

namespace Cluster.Dashboard.Reports;

/// <summary>Device-hours of all rows that have the same in what they are summed by.</summary>
public sealed record HoursLine(string Name, int Jobs, double Used, double Lost);

/// <summary>Sums the rows of a report.</summary>
internal static class HoursTable
{
    /// <summary>What rows can be summed by.</summary>
    public static IReadOnlyList<string> Keys { get; } = ["owner", "queue", "state", "kind"];

    /// <summary>The largest first.</summary>
    /// <param name="by">One of <see cref="Keys"/>.</param>
    /// <param name="rows">Of the report.</param>
    public static IReadOnlyList<HoursLine> By(string by, IEnumerable<DeviceHours> rows) =>
    [
        .. rows.GroupBy(row => NameOf(by, row))
            .Select(same => new HoursLine(
                same.Key, same.Sum(row => row.Jobs), same.Sum(row => row.UsedHours), same.Sum(row => row.LostHours)))
            .OrderByDescending(line => line.Used).ThenBy(line => line.Name, StringComparer.Ordinal),
    ];

    private static string NameOf(string by, DeviceHours row) => by switch
    {
        "queue" => row.Queue,
        "state" => row.State.Word(),
        "kind" => KindNames.Of(row.Kind),
        _ => row.Owner,
    };
}
