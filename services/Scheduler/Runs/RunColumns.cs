using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Npgsql;

namespace Cluster.Scheduler.Runs;

/// <summary>What runs are searched and sorted by, and where it lies.</summary>
internal static class RunColumns
{
    /// <summary>The tables that columns lie in.</summary>
    public const string From = "jobs j left join run_settings s on s.job_id = j.id left join runs r on r.job_id = j.id";

    private static readonly Dictionary<string, RunColumn> Own = new(StringComparer.OrdinalIgnoreCase)
    {
        ["name"] = Text("j.name"),
        ["owner"] = Text("j.owner"),
        ["state"] = Text("lower(j.state)"),
        ["workspace"] = Text("j.workspace"),
        ["queue"] = Text("j.queue"),
        ["experiment"] = Text("j.experiment_id::text"),
        ["variant"] = Text("j.variant"),
        ["priority"] = Number("j.priority"),
        ["attempts"] = Number("j.attempt"),
        ["restarts"] = Number("j.restarts"),
        ["created"] = Time("j.created_at"),
        ["started"] = Time("j.started_at"),
        ["finished"] = Time("j.finished_at"),
        ["runtime"] = Number("extract(epoch from coalesce(j.finished_at, now()) - j.started_at)"),
        ["epoch"] = Figure("epoch"),
        ["step"] = Figure("step"),
        ["accuracy"] = Number("coalesce(r.progress->>'testAccuracy', r.progress->>'validationAccuracy')", moreIsBetter: true),
        ["loss"] = Figure("trainLoss"),
        ["trainLoss"] = Figure("trainLoss"),
        ["trainAccuracy"] = Figure("trainAccuracy", moreIsBetter: true),
        ["validationLoss"] = Figure("validationLoss"),
        ["validationAccuracy"] = Figure("validationAccuracy", moreIsBetter: true),
        ["testLoss"] = Figure("testLoss"),
        ["testAccuracy"] = Figure("testAccuracy", moreIsBetter: true),
        ["samplesPerSecond"] = Figure("samplesPerSecond", moreIsBetter: true),
    };

    /// <summary>A column by its name, in any case.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static RunColumn Find(string name)
    {
        if (Own.TryGetValue(name, out var own))
            return own;
        if (name.StartsWith(SpecSettings.Labels, StringComparison.Ordinal) && name.Length > SpecSettings.Labels.Length)
            return Setting(name, SettingKind.Text);
        return SpecSettings.Names.TryGetValue(name, out var path)
            ? Setting(path, SpecSettings.Kinds[path])
            : throw new FormatException($"there is no column '{name}'{Nearest(name)}");
    }

    private static string Nearest(string name) => NearestName.Of(name, Own.Keys.Concat(SpecSettings.Names.Keys)) is { } near
        ? $"; did you mean {near}?"
        : "; give a path of a job file, or a figure such as accuracy";

    private static RunColumn Setting(string path, SettingKind kind) => kind switch
    {
        SettingKind.Number => new(RunColumnKind.Number, parameters => $"(s.settings->>{parameters.Add(path)})::float8"),
        SettingKind.Flag => new(RunColumnKind.Flag, parameters => $"(s.settings->>{parameters.Add(path)})::boolean"),
        _ => new(RunColumnKind.Text, parameters => $"(s.settings->>{parameters.Add(path)})"),
    };

    private static RunColumn Figure(string key, bool moreIsBetter = false) => Number($"r.progress->>'{key}'", moreIsBetter);

    private static RunColumn Number(string sql, bool moreIsBetter = false) =>
        new(RunColumnKind.Number, _ => $"({sql})::float8") { MoreIsBetter = moreIsBetter };

    private static RunColumn Text(string sql) => new(RunColumnKind.Text, _ => sql);

    private static RunColumn Time(string sql) => new(RunColumnKind.Time, _ => sql);
}

internal enum RunColumnKind
{
    Number,
    Text,
    Flag,
    Time,
}

/// <param name="Sql">Made of fixed text; what a caller wrote is a parameter.</param>
internal sealed record RunColumn(RunColumnKind Kind, Func<SqlParameters, string> Sql)
{
    public bool MoreIsBetter { get; init; }
}

/// <summary>The values of a statement that is put together.</summary>
internal sealed class SqlParameters
{
    private readonly List<NpgsqlParameter> _values = [];

    /// <returns>What stands for it in the statement: "$3".</returns>
    public string Add<T>(T value)
    {
        _values.Add(new NpgsqlParameter<T> { TypedValue = value });
        return $"${_values.Count}";
    }

    public void AddTo(NpgsqlCommand command) => _values.ForEach(value => command.Parameters.Add(value));
}
