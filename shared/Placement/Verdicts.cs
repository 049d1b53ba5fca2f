namespace Cluster.Placement;

/// <summary>Why a shape that does not fit waits.</summary>
internal sealed class Verdicts(NodeIndex nodes, FreeDevices free, DateTimeOffset now, PlacementPolicy policy)
{
    // Of lost nodes, or drained ones, in a reason.
    private const int MostNames = 3;

    public Verdict Judge(Shape shape)
    {
        var need = shape.Need.AtFewest();
        List<(NodeProfile, int)> registered = [.. nodes.Groups.Select(group => (group.Profile, group.Nodes.Count))];
        if (!Feasibility.Suffices(need, registered))
            return new Verdict(false, new WaitReason(WaitCause.Infeasible, Feasibility.Describe(need, registered)));
        if (!Feasibility.Suffices(need, Registered(need, _ => true)))
            return new Verdict(false, new WaitReason(WaitCause.NodesExcluded, DescribeExcluded(need)));
        var (unclaimed, idle, total) = free.Count(shape);
        if (unclaimed >= need.Devices && free.ClaimOn(shape) is { } claim)
        {
            return new Verdict(true, new WaitReason(
                WaitCause.WaitingForTurn, $"waits its turn: the free {(unclaimed == 1 ? "device is" : "devices are")} kept for {claim}"));
        }

        var words = $"needs {need.Devices} {need.Noun(need.Devices)}{(need.Devices == 1 ? "" : " at once")}"
            + $"{(need.MaxPerNode > 0 ? $", at most {need.MaxPerNode} a node" : "")}; {Available(unclaimed, total)}"
            + $"{DescribeAway(need, "lost", node => node.LostAt is not null)}"
            + $"{DescribeAway(need, "drained", node => node.LostAt is null)}";
        if (!Feasibility.Suffices(need, Registered(need, IsExpected)))
            return new Verdict(false, new WaitReason(WaitCause.WaitingForNode, $"{words}; others may start before it"));
        if (!Feasibility.Suffices(need, Registered(need, _ => false)))
            return new Verdict(true, new WaitReason(WaitCause.WaitingForNode, words));
        if (idle <= unclaimed)
            return new Verdict(true, new WaitReason(WaitCause.WaitingForDevices, words));
        var memory = $"; others take the memory beside {Idle(idle - unclaimed)}: each rank needs {need.Memory.Text(need.Kinds)}";
        return new Verdict(true, new WaitReason(
            idle >= need.Devices ? WaitCause.WaitingForMemory : WaitCause.WaitingForDevices, words + memory));
    }

    /// <summary>Of a job for which others are about to release devices.</summary>
    public static WaitReason MakesRoom(DeviceNeed need) => new(
        WaitCause.WaitingForRelease,
        $"waits until jobs have released {(need.Fewest == 1 ? "the device" : $"the {need.Fewest} devices")} that it is promised");

    /// <summary>Of a job for which the cycle had too little work left.</summary>
    public static WaitReason NotSettled(WaitReason reason) =>
        new(WaitCause.NotSettled, $"{reason.Words}; whether more can be done for it is not settled yet");

    private static string Available(int free, int all) => (free, all) switch
    {
        (0, 1) => "the one that it could use is not free",
        (0, _) => $"none of the {all} that it could use is free",
        (1, _) => $"1 of the {all} that it could use is free",
        _ => $"{free} of the {all} that it could use are free",
    };

    private static string Idle(int devices) => devices == 1 ? "1 idle one" : $"{devices} idle ones";

    /// <summary>A machine that was lost may be restarting; how long one is drained nobody knows.</summary>
    private bool IsExpected(Node away) =>
        policy.LostNodeHold > TimeSpan.Zero && !away.Drained && now - away.LostAt < policy.LostNodeHold;

    /// <summary>How many nodes of each profile it may have, of those that are lost or drained only the ones asked for.</summary>
    private IEnumerable<(NodeProfile Profile, int Nodes)> Registered(DeviceNeed need, Func<Node, bool> which)
    {
        var without = nodes.Away.Where(node => !which(node)).Union(Excluded(need)).CountBy(node => node.Group).ToDictionary();
        return nodes.Groups.Select(group => (group.Profile, group.Nodes.Count - without.GetValueOrDefault(group)));
    }

    private IEnumerable<Node> Excluded(DeviceNeed need) => need.Excluded.Select(nodes.Find).OfType<Node>();

    private string DescribeExcluded(DeviceNeed need)
    {
        var excluded = Excluded(need).Order(NodeOrder.Instance).Select(node => node.Name).ToList();
        return $"needs {need.Devices} {need.Noun(need.Devices)}, which the nodes that are left to it do not have: {Names(excluded)} "
            + $"{(excluded.Count == 1 ? "is" : "are")} excluded from it for good; add nodes, or submit it again";
    }

    private static string Names(List<string> nodes) =>
        string.Join(", ", nodes.Take(MostNames)) + (nodes.Count > MostNames ? ", …" : "");

    /// <summary>", 2 are on a lost node (node-b)", or nothing.</summary>
    /// <param name="how">"lost".</param>
    private string DescribeAway(DeviceNeed need, string how, Func<Node, bool> isSo)
    {
        var (devices, away) = need.Kinds.Select(Away).MaxBy(each => each.Devices);
        if (devices == 0)
            return "";
        return $", {devices} {(devices == 1 ? "is" : "are")} on {(away.Count == 1 ? $"a {how} node" : $"{how} nodes")} ({Names(away)})";

        (int Devices, List<string> Nodes) Away(DeviceClass kind)
        {
            var usable = nodes.Away.Except(Excluded(need)).Where(node => isSo(node) && node.Group.Profile.Admits(need) && Could(node) > 0)
                .ToList();
            return (usable.Sum(node => need.Capped(Could(node))), usable.ConvertAll(node => node.Name));

            int Could(Node node) => node.Group.Profile.Count(kind, need.Memory.On(kind));
        }
    }
}

/// <param name="Keeps">Nobody behind it may take what it could use.</param>
internal sealed record Verdict(bool Keeps, WaitReason Reason);
