namespace Cluster.Placement;

/// <summary>Whether the cluster as registered, with every device free, could ever run a job.</summary>
public static class Feasibility
{
    private const string Wait = "or submit with --wait-for-capacity";

    /// <returns>For each need null if it could; else which setting is too much, its value, and the remedy.</returns>
    public static IReadOnlyList<string?> Explain(IEnumerable<DeviceNeed> needs, IEnumerable<RegisteredNode> nodes)
    {
        var alike = nodes.GroupBy(NodeProfile.KeyOf);
        List<(NodeProfile, int)> registered = [.. alike.Select(same => (new NodeProfile(same.First()), same.Count()))];
        return [.. needs.Select(need => need.AtFewest()).Select(need => Suffices(need, registered) ? null : Describe(need, registered))];
    }

    /// <param name="nodes">How many of each profile.</param>
    internal static bool Suffices(DeviceNeed need, IEnumerable<(NodeProfile Profile, int Nodes)> nodes)
    {
        var admitted = nodes.Where(n => n.Profile.Admits(need)).ToList();
        return need.Kinds.Any(kind => Room(need, kind, admitted) >= need.Devices);
    }

    /// <summary>Of a need for which the nodes do not suffice: which setting is too much.</summary>
    internal static string Describe(DeviceNeed need, IReadOnlyList<(NodeProfile Profile, int Nodes)> nodes)
    {
        if (nodes.Count == 0)
            return $"no node is registered; start a worker, {Wait}";
        if (need.DataSet.Length > 0 && !nodes.Any(n => n.Profile.DataSets.Contains(need.DataSet)))
        {
            var known = nodes.SelectMany(n => n.Profile.DataSets).Distinct().Order(StringComparer.Ordinal).ToList();
            return $"{Setting(need.DataSet)} is '{need.DataSet}', which no registered node has "
                + $"({(known.Count == 0 ? "they have none" : "they have " + string.Join(", ", known))}); put it on a node, "
                + $"which offers it within a minute, {Wait}";
        }

        var admitted = nodes.Where(n => n.Profile.Admits(need)).ToList();
        if (admitted.Count == 0)
        {
            return $"resources.nodeLabels is {Format(need.Labels)}, which no registered node"
                + $"{(need.DataSet.Length > 0 ? $" with data set '{need.DataSet}'" : "")} carries; correct the labels, {Wait}";
        }

        if (Suffices(need with { Memory = default }, nodes))
            return DescribeMemory(need, admitted) + Wait;
        var most = need.Kinds.Max(kind => admitted.Sum(n => n.Profile.Count(kind) * n.Nodes));
        var among = admitted.Count == nodes.Count ? "the registered cluster has" : "the registered nodes that the job admits have";
        var machines = admitted.Sum(n => n.Nodes);
        return most >= need.Devices
            ? $"resources.maxDevicesPerNode is {need.MaxPerNode}, so {need.Devices} devices need more nodes than the "
                + $"{machines} registered {(machines == 1 ? "one" : "ones")} that the job admits; raise it, {Wait}"
            : $"resources.devices is {need.Devices} but {among} {most} {need.Noun(most)}; lower devices, add nodes, {Wait}";
    }

    private static string DescribeMemory(DeviceNeed need, List<(NodeProfile Profile, int Nodes)> admitted)
    {
        var fit = need.Kinds.Max(kind => Room(need, kind, admitted));
        var largest = need.Kinds.Max(kind => admitted.Max(n => n.Profile.Largest(kind)));
        return $"{(need.Devices == 1 ? "its rank" : $"each of {need.Devices} ranks")} is expected to take "
            + $"{need.Memory.Text(need.Kinds)} of memory, "
            + $"for which the registered nodes that the job admits have {(fit == 0 ? "no room" : $"room for {fit}")} "
            + $"(the largest has {RankMemory.Gibibytes(largest)} in all); "
            + "lower hyperparameters.globalBatchSize or the model's size, add nodes, ";
    }

    private static int Room(DeviceNeed need, DeviceClass kind, List<(NodeProfile Profile, int Nodes)> admitted) =>
        admitted.Sum(n => need.Capped(n.Profile.Count(kind, need.Memory.On(kind))) * n.Nodes);

    // "image-folder/my-photos": what nodes have are folders, each by its name.
    private static string Setting(string dataSet) => dataSet.Contains('/', StringComparison.Ordinal) ? "data.folder" : "data.name";

    private static string Format(IReadOnlyDictionary<string, string> labels) =>
        string.Join(", ", labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}"));
}
