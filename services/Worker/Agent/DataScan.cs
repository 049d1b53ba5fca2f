using Cluster.Worker.Data;

namespace Cluster.Worker.Agent;

/// <summary>
/// Looks for this node's data sets again and again. What was there at the first look counts at once; what arrives later counts when nobody
/// writes to it any more.
/// </summary>
internal sealed class DataScan(string dataRoot, Action<string> unusable)
{
    private IReadOnlyList<string>? _offered;
    private Dictionary<string, int?> _arriving = [];
    private HashSet<string> _known = [];

    /// <summary>The names of what can be offered.</summary>
    public IReadOnlyList<string> Look()
    {
        var reasons = new HashSet<string>();
        var here = DataSets.Find(dataRoot, reason => reasons.Add(reason));
        // Each is told once, not at every look.
        foreach (var reason in reasons.Except(_known))
            unusable(reason);
        _known = reasons;
        if (_offered is null)
            return _offered = here;

        // A copy that is under way looks like a smaller data set, and a job would take it for one.
        var arriving = here.Except(_offered).ToDictionary(name => name, name => DataSets.Fingerprint(dataRoot, name));
        var before = _arriving;
        _arriving = arriving;
        return _offered = [.. here.Where(name => _offered.Contains(name) || HasSettled(name))];

        bool HasSettled(string name) => arriving[name] is { } now && before.GetValueOrDefault(name) == now;
    }
}
