using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Retention;

/// <summary>What a sweep took away, by kind.</summary>
internal sealed class SweepTally
{
    private readonly SortedDictionary<string, long> _removed = new(StringComparer.Ordinal);

    public long this[string kind] => _removed.GetValueOrDefault(kind);

    public void Add(string kind, long rows)
    {
        if (rows == 0)
            return;
        _removed[kind] = this[kind] + rows;
        SchedulerTelemetry.JanitorRemovals.Add(rows, new KeyValuePair<string, object?>("kind", kind));
    }

    /// <summary>"chunks 3, logs 200"; "nothing".</summary>
    public override string ToString() =>
        _removed.Count == 0 ? "nothing" : string.Join(", ", _removed.Select(removed => $"{removed.Key} {removed.Value}"));
}
