using Cluster.Contracts;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Jobs;

/// <summary>Which jobs a list shows and in what order, as its address says.</summary>
/// <param name="Text">Words that all must stand somewhere in what is known of a job.</param>
/// <param name="State">A state's word; empty: all.</param>
/// <param name="Sort">A column's key.</param>
/// <param name="Page">From 1.</param>
public sealed record JobQuery(string Text, string State, string Sort, bool IsDescending, int Page)
{
    public const int PageSize = 50;

    private const string Newest = "created";

    private static readonly string[] DescendingAtFirst = ["created", "devices", "priority", "accuracy", "rate"];

    /// <summary>What is shown of each job.</summary>
    public ColumnChoice Columns { get; init; } = JobColumns.Choice;

    /// <summary>Where it is to be seen.</summary>
    public string Address
    {
        get
        {
            var parts = new List<string>();
            if (Text.Length > 0)
                parts.Add($"q={Uri.EscapeDataString(Text)}");
            if (State.Length > 0)
                parts.Add($"state={Uri.EscapeDataString(State)}");
            if (Sort != Newest || !IsDescending)
                parts.Add($"sort={Uri.EscapeDataString(Sort)}&desc={(IsDescending ? "true" : "false")}");
            if (Columns.Text.Length > 0)
                parts.Add($"columns={Columns.Text}");
            if (Page > 1)
                parts.Add($"page={Page}");
            return parts.Count == 0 ? "/jobs" : "/jobs?" + string.Join('&', parts);
        }
    }

    public static JobQuery Of(string? text, string? state, string? sort, bool? isDescending, int? page) =>
        new(text ?? "", state ?? "", sort ?? Newest, isDescending ?? (sort ?? Newest) == Newest, Math.Max(page ?? 1, 1));

    public JobQuery Of(string text, string state) => this with { Text = text, State = state, Page = 1 };

    /// <summary>By that column, and by one that it is sorted by already the other way round.</summary>
    public JobQuery SortedBy(string column) =>
        this with { Sort = column, IsDescending = column == Sort ? !IsDescending : DescendingAtFirst.Contains(column), Page = 1 };

    /// <summary>All that match, in order.</summary>
    public IReadOnlyList<JobRow> Of(IReadOnlyList<JobRow> rows)
    {
        var words = Text.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var matching = rows.Where(row => (State.Length == 0 || row.State.Word() == State) && words.All(word => Has(row, word)));
        return Sort switch
        {
            "name" => Sorted(matching, row => row.Name),
            "state" => Sorted(matching, row => row.State.Word()),
            "model" => Sorted(matching, row => row.Model),
            "data" => Sorted(matching, row => row.Data),
            "owner" => Sorted(matching, row => row.Owner),
            "queue" => Sorted(matching, row => row.Queue),
            "priority" => Sorted(matching, row => row.Priority),
            "nodes" => Sorted(matching, row => row.Nodes),
            "variant" => Sorted(matching, row => row.Variant),
            "devices" => Sorted(matching, row => row.Devices),
            "loss" => Sorted(matching, row => row.Loss),
            "accuracy" => Sorted(matching, row => row.Accuracy),
            "rate" => Sorted(matching, row => row.Rate),
            _ => Sorted(matching, row => row.CreatedAt),
        };
    }

    private static bool Has(JobRow row, string word) =>
        row.Id.StartsWith(word, StringComparison.OrdinalIgnoreCase)
        || new[] { row.Name, row.Owner, row.Queue, row.Model, row.Data, row.Variant, row.Nodes, row.Reason, row.Code }
            .Any(text => text.Contains(word, StringComparison.OrdinalIgnoreCase));

    // What has no such figure comes last either way, and what is level stays as it came, newest first.
    private IReadOnlyList<JobRow> Sorted<T>(IEnumerable<JobRow> rows, Func<JobRow, T> key)
    {
        var known = rows.OrderBy(row => key(row) is null);
        return [.. IsDescending ? known.ThenByDescending(key) : known.ThenBy(key)];
    }
}
