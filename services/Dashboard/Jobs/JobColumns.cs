using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Jobs;

/// <summary>A column of lists of jobs.</summary>
/// <param name="Key">What addresses call it.</param>
/// <param name="IsSorted">Whether a list can be sorted by it.</param>
public sealed record JobColumn(string Key, string Title, bool IsNumber = false, bool IsSorted = true);

/// <summary>What lists of jobs can say of each, beside its name.</summary>
internal static class JobColumns
{
    public static JobColumn Name { get; } = new("name", "Job");

    public static IReadOnlyList<JobColumn> All { get; } =
    [
        new("state", "State"), new("why", "Why", IsSorted: false), new("queue", "Queue"), new("priority", "Priority", IsNumber: true),
        new("model", "Model"), new("data", "Data"), new("devices", "Devices", IsNumber: true), new("owner", "Owner"),
        new("nodes", "Nodes"), new("variant", "Variant"), new("progress", "Progress or position", IsSorted: false),
        new("loss", "Loss", IsNumber: true), new("accuracy", "Accuracy", IsNumber: true), new("rate", "Images/s", IsNumber: true),
        new("time", "Time", IsNumber: true, IsSorted: false), new("created", "Submitted"),
    ];

    public static ColumnChoice Choice { get; } = new(
        [.. All.Select(column => column.Key)],
        ["state", "why", "model", "devices", "owner", "progress", "loss", "accuracy", "rate", "created"]);

    /// <summary>What a list can be sorted by.</summary>
    public static IEnumerable<string> Sorted => All.Prepend(Name).Where(column => column.IsSorted).Select(column => column.Key);

    public static string TitleOf(string key) => All.First(column => column.Key == key).Title;
}
