namespace Cluster.Scheduler.Placement;

/// <summary>Whether the cluster as registered, with every device free, could ever run a job.</summary>
internal static class Feasibility
{
    /// <returns>Null if it could; else which setting is too much, its value, and the remedy.</returns>
    public static string? Explain(DeviceNeed need, IReadOnlyList<NodeCapacity> nodes)
    {
        const string Wait = "or submit with --wait-for-capacity";
        if (Suffices(need, nodes))
            return null;
        if (nodes.Count == 0)
            return $"no node is registered; start a worker, {Wait}";
        if (need.DataSet.Length > 0 && !nodes.Any(n => n.DataSets.Contains(need.DataSet)))
        {
            var known = nodes.SelectMany(n => n.DataSets).Distinct().Order(StringComparer.Ordinal).ToList();
            return $"{Setting(need.DataSet)} is '{need.DataSet}', "
                + $"which no registered node has ({(known.Count == 0 ? "they have none" : "they have " + string.Join(", ", known))}); "
                + $"put it on a node, {Wait}";
        }

        var admitted = nodes.Where(need.Admits).ToList();
        if (admitted.Count == 0)
            return $"resources.nodeLabels is {Format(need.Labels)}, "
                + $"which no registered node{(need.DataSet.Length > 0 ? $" with data set '{need.DataSet}'" : "")} carries; "
                + $"correct the labels, {Wait}";
        if (Suffices(need with { Memory = default }, nodes))
            return ExplainMemory(need, admitted) + Wait;
        var most = need.Kinds.Max(kind => admitted.Sum(n => n.Count(kind, rankBytes: 0)));
        var among = admitted.Count == nodes.Count ? "the registered cluster has" : "the registered nodes that the job admits have";
        return most >= need.Devices
            ? $"resources.maxDevicesPerNode is {need.MaxPerNode}, so {need.Devices} devices need more nodes than the {admitted.Count} "
                + $"registered ones that the job admits; raise it, {Wait}"
            : $"resources.devices is {need.Devices} but {among} {most} {need.Noun}; lower devices, add nodes, {Wait}";
    }

    /// <summary>The answer alone, for the placement cycle.</summary>
    public static bool Suffices(DeviceNeed need, IReadOnlyList<NodeCapacity> nodes) =>
        need.Kinds.Any(kind => nodes.Where(need.Admits).Sum(n => need.Capped(n.Count(kind, need.Memory.On(kind)))) >= need.Devices);

    private static string ExplainMemory(DeviceNeed need, List<NodeCapacity> admitted)
    {
        var fit = need.Kinds.Max(kind => admitted.Sum(n => need.Capped(n.Count(kind, need.Memory.On(kind)))));
        var largest = need.Kinds.Max(kind => admitted.Max(n => n.Memory.Largest(kind)));
        return $"each of {need.Devices} ranks is expected to take {need.Memory.Text(need.Kinds)} of memory, "
            + $"for which the registered nodes that the job admits have room for {fit} "
            + $"(the largest has {RankMemory.Gibibytes(largest)} in all); "
            + "lower hyperparameters.globalBatchSize or the model's size, add nodes, ";
    }

    // "image-folder/my-photos": what nodes have are folders, each by its name.
    private static string Setting(string dataSet) => dataSet.Contains('/', StringComparison.Ordinal) ? "data.folder" : "data.name";

    private static string Format(IReadOnlyDictionary<string, string> labels) =>
        string.Join(", ", labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}"));
}
