using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Runs;

/// <summary>Runs side by side, with a column for all that any of them has.</summary>
internal sealed class RunTable
{
    // Every run is shown with these.
    private static readonly string[] Heads = ["name", "id", "state"];

    private static readonly IReadOnlyList<RunColumn> OfRuns =
        [.. RunColumns.Of([]).Where(column => column is { Showing: Showing.WhereDifferent, Path: null })];

    private readonly List<Run> _runs = [];

    // By its path, what the first run that has it has, and how many have the same.
    private readonly Dictionary<string, (SpecSetting First, int Same)> _settings = new(StringComparer.Ordinal);

    public IReadOnlyList<Run> Runs => _runs;

    /// <summary>In order, those that are shown of every run among them.</summary>
    public IReadOnlyList<RunColumn> Columns { get; private set; } = RunColumns.Of([]);

    /// <summary>Of the others, which are shown: all that tell the runs apart.</summary>
    public ColumnChoice Choice { get; private set; } = Choose(RunColumns.Of([]), _ => false);

    public void Add(IReadOnlyCollection<Run> runs)
    {
        _runs.AddRange(runs);
        foreach (var setting in runs.SelectMany(run => SpecSettings.Of(run)))
        {
            var (first, same) = _settings.GetValueOrDefault(setting.Path, (setting, 0));
            _settings[setting.Path] = (first, first == setting ? same + 1 : same);
        }

        Columns = RunColumns.Of(_settings.Keys);
        Choice = Choose(Columns, IsDifferent);
    }

    private bool IsDifferent(RunColumn column) => column.Path is { } path
        ? _settings[path].Same < _runs.Count
        : OfRuns.Contains(column) && _runs.Exists(run => column.Raw(run) != column.Raw(_runs[0]));

    private static ColumnChoice Choose(IReadOnlyList<RunColumn> columns, Func<RunColumn, bool> isDifferent)
    {
        var others = columns.Where(column => !Heads.Contains(column.Key)).ToList();
        return new ColumnChoice(
            [.. others.Select(column => column.Key)],
            [
                .. others
                    .Where(column => column.Showing == Showing.Always || (column.Showing == Showing.WhereDifferent && isDifferent(column)))
                    .Select(column => column.Key),
            ]);
    }
}
