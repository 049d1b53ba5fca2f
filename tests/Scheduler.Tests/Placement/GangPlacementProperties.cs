using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Placement;
using FsCheck;
using FsCheck.Fluent;
using static Cluster.Scheduler.Tests.Placement.ClusterBuilder;

namespace Cluster.Scheduler.Tests.Placement;

/// <summary>What holds for every cluster and every queue.</summary>
public sealed class GangPlacementProperties
{
    private static readonly string[] Zones = ["east", "west"];
    private static readonly string[] Sets = ["fashion-mnist", "imagenet"];

    [Fact]
    public void Decisions_KeepEveryPromise() =>
        Prop.ForAll(Arb.From(Snapshots(maxNodes: 12, maxJobs: 15)), snapshot => Check(snapshot)).QuickCheckThrowOnFailure();

    [Fact]
    public void Decisions_ForTenThousandNodes_KeepEveryPromise()
    {
        var random = new Random(2012);
        var nodes = Enumerable.Range(0, 10_000).Select(i => RandomNode(i, random)).ToList();
        var jobs = Enumerable.Range(0, 2_000).Select(_ => RandomJob(nodes, random)).ToList();

        Check(new ClusterSnapshot(Now, nodes, jobs));
    }

    private static Gen<ClusterSnapshot> Snapshots(int maxNodes, int maxJobs) =>
        from seed in Gen.Choose(0, int.MaxValue)
        from nodes in Gen.Choose(0, maxNodes)
        from jobs in Gen.Choose(0, maxJobs)
        select Snapshot(seed, nodes, jobs);

    private static ClusterSnapshot Snapshot(int seed, int nodeCount, int jobCount)
    {
        var random = new Random(seed);
        var nodes = Enumerable.Range(0, nodeCount).Select(i => RandomNode(i, random)).ToList();
        return new ClusterSnapshot(Now, nodes, [.. Enumerable.Range(0, jobCount).Select(_ => RandomJob(nodes, random))]);
    }

    private static NodeCapacity RandomNode(int i, Random random)
    {
        var node = ANode(
            $"node-{i}", free: random.Next(0, 9), busy: random.Next(0, 4), random.Next(3) == 0 ? DeviceKind.Cuda : DeviceKind.Cpu,
            [.. Sets.Where(_ => random.Next(4) > 0)], random.Next(2) == 0 ? [] : new() { ["zone"] = Zones[random.Next(2)] });
        if (random.Next(6) == 0)
        {
            node = node with
            {
                LostAt = Now - TimeSpan.FromMinutes(random.Next(0, 20)),
                Free = new Dictionary<DeviceKind, IReadOnlyList<string>>(),
            };
        }

        return random.Next(3) == 0 ? node : node with { Memory = RandomMemory(node, random) };
    }

    // Below zero too: ranks may take more than was expected of them.
    private static NodeMemory RandomMemory(NodeCapacity node, Random random) => new(
        random.Next(0, 20), random.Next(-5, 20), Enumerable.Range(0, node.All.GetValueOrDefault(DeviceKind.Cuda))
            .ToImmutableDictionary(i => $"cuda:{i}", _ => (long)random.Next(0, 6)));

    private static WaitingJob RandomJob(List<NodeCapacity> nodes, Random random) => AJob(
        random.Next(1, 20), (DeviceKind)random.Next(1, 4), random.Next(3) == 0 ? random.Next(1, 5) : 0, random.Next(3),
        random.Next(3) == 0 ? new() { ["zone"] = Zones[random.Next(2)] } : [], Sets[random.Next(2)],
        random.Next(5) == 0 ? Now.AddSeconds(random.Next(-5, 5)) : null,
        nodes.Count > 0 && random.Next(4) == 0 ? [nodes[random.Next(nodes.Count)].Id] : [], random.Next(100),
        random.Next(2) == 0 ? 0 : random.Next(1, 7));

    private static void Check(ClusterSnapshot snapshot)
    {
        var ordered = QueueOrder.Sort(snapshot.Waiting);
        var decisions = GangPlacement.Decide(snapshot, ordered, LongestHold);

        decisions.Select(d => d.Job).ShouldBe(ordered.Select(j => j.Id), "one decision a job, in order");
        var again = GangPlacement.Decide(snapshot, ordered, LongestHold);
        again.Select(d => d.ToString()).ShouldBe(decisions.Select(d => d.ToString()), "the same again");
        var byId = snapshot.Nodes.ToDictionary(n => n.Id);
        var there = snapshot.Nodes.Where(ExpectedBack).ToList();
        var given = new HashSet<(NodeId, string)>();
        var passed = new List<DeviceNeed>();
        var taken = new Dictionary<NodeId, long>();
        for (var i = 0; i < decisions.Count; i++)
        {
            if (decisions[i] is PlacementDecision.Placed placed)
                CheckPlaced(ordered[i], placed, byId, given, passed, taken);
            else if (!(ordered[i].NotBefore > snapshot.TakenAt) && Feasibility.Suffices(ordered[i].Need, there))
                passed.Add(ordered[i].Need);
        }

        CheckHolds(snapshot, ordered, decisions);

        CheckHead(snapshot, ordered, decisions, given);
        decisions.OfType<PlacementDecision.Waits>().Where(w => w.Position > 0).Select(w => w.Position)
            .ShouldBe(Enumerable.Range(1, decisions.OfType<PlacementDecision.Waits>().Count(w => w.Position > 0)));
    }

    private static bool ExpectedBack(NodeCapacity node) => node.LostAt is null || Now - node.LostAt < LongestHold;

    /// <summary>
    /// What pauses could start on what those before it left, and can still when those behind it have been given their devices.
    /// </summary>
    private static void CheckHolds(ClusterSnapshot snapshot, IReadOnlyList<WaitingJob> ordered, IReadOnlyList<PlacementDecision> decisions)
    {
        for (var i = 0; i < ordered.Count && i < 10; i++)
        {
            if (!(ordered[i].NotBefore > Now))
                continue;
            WaitingJob[] ready = [.. ordered.Take(i), ordered[i] with { NotBefore = null }];
            if (GangPlacement.Decide(snapshot, ready, LongestHold)[i].Devices() is null)
                continue;
            var after = GangPlacement.Decide(Without(snapshot, decisions.Skip(i)), ready, LongestHold);
            after[i].Devices().ShouldNotBeNull("its devices are held");
        }
    }

    /// <summary>As if the devices given by these decisions had been taken before.</summary>
    private static ClusterSnapshot Without(ClusterSnapshot snapshot, IEnumerable<PlacementDecision> decisions)
    {
        var taken = decisions.OfType<PlacementDecision.Placed>().SelectMany(placed => placed.Ranks)
            .ToLookup(rank => rank.Node, rank => rank.Device);
        return snapshot with
        {
            Nodes = [.. snapshot.Nodes.Select(node => node with
            {
                Free = node.Free.ToDictionary(kind => kind.Key, IReadOnlyList<string> (kind) => [.. kind.Value.Except(taken[node.Id])]),
            })],
        };
    }

    private static void CheckPlaced(
        WaitingJob job, PlacementDecision.Placed placed, Dictionary<NodeId, NodeCapacity> nodes, HashSet<(NodeId, string)> given,
        List<DeviceNeed> passed, Dictionary<NodeId, long> taken)
    {
        (job.NotBefore > Now).ShouldBeFalse("a backoff is waited out");
        placed.Ranks.Length.ShouldBe(job.Need.Devices, "all or none");
        var kinds = new HashSet<DeviceKind>();
        foreach (var rank in placed.Ranks)
        {
            given.Add((rank.Node, rank.Device)).ShouldBeTrue("no device twice");
            var node = nodes[rank.Node];
            rank.NodeEpoch.ShouldBe(node.Epoch);
            var kind = node.Free.Single(f => f.Value.Contains(rank.Device)).Key;
            kinds.Add(kind);
            job.Need.Kinds.ShouldContain(kind);
            job.Need.Labels.All(l => node.Labels.Contains(l)).ShouldBeTrue("labels");
            node.DataSets.ShouldContain(job.Need.DataSet);
            passed.Any(p => p.CouldUse(node, kind) && p.Kinds.Contains(kind))
                .ShouldBeFalse("nobody is passed on a device that they could use");
            CheckMemory(job.Need.Memory.On(kind), node, kind, rank.Device, taken);
        }

        kinds.Count.ShouldBe(1, "never a mixture of kinds");
        var perNode = placed.Ranks.GroupBy(r => r.Node).ToList();
        if (job.Need.MaxPerNode > 0)
            perNode.Max(g => g.Count()).ShouldBeLessThanOrEqualTo(job.Need.MaxPerNode);
        placed.Ranks.Zip(placed.Ranks.Skip(1)).Count(p => p.First.Node != p.Second.Node)
            .ShouldBe(perNode.Count - 1, "a node's ranks stand together");
    }

    private static void CheckMemory(long rankBytes, NodeCapacity node, DeviceKind kind, string device, Dictionary<NodeId, long> taken)
    {
        if (kind == DeviceKind.Cuda)
        {
            node.Memory.Gpus.GetValueOrDefault(device).ShouldBeOneOf(0, Math.Max(node.Memory.Gpus.GetValueOrDefault(device), rankBytes));
        }
        else if (rankBytes > 0 && node.Memory.Cpu > 0)
        {
            taken[node.Id] = taken.GetValueOrDefault(node.Id) + rankBytes;
            taken[node.Id].ShouldBeLessThanOrEqualTo(node.Memory.CpuFree, "what a node's ranks are expected to take together, it has");
        }
    }

    /// <summary>The first that waits really does not fit on what those before it left.</summary>
    private static void CheckHead(
        ClusterSnapshot snapshot, IReadOnlyList<WaitingJob> ordered, IReadOnlyList<PlacementDecision> decisions,
        HashSet<(NodeId, string)> given)
    {
        var head = Enumerable.Range(0, ordered.Count).FirstOrDefault(i => decisions[i] is PlacementDecision.Waits { Position: 1 }, -1);
        // Where a job pauses before it, that one's devices may be what it lacks.
        if (head < 0 || ordered.Take(head).Any(job => job.NotBefore > Now))
            return;
        var before = decisions.Take(head).Zip(ordered).Where(pair => pair.First is PlacementDecision.Placed)
            .SelectMany(pair => ((PlacementDecision.Placed)pair.First).Ranks.Select(r => (r.Node, r.Device, pair.Second.Need.Memory.Cpu)))
            .ToList();
        given.IsSupersetOf(before.Select(r => (r.Node, r.Device))).ShouldBeTrue();
        var need = ordered[head].Need;
        foreach (var kind in need.Kinds)
            snapshot.Nodes.Where(need.Admits)
                .Sum(n => need.Capped(Room(n, kind, need.Memory.On(kind), before.Where(r => r.Node == n.Id).ToList())))
                .ShouldBeLessThan(need.Devices);
    }

    /// <summary>How many ranks a node still has room for, counted one by one.</summary>
    private static int Room(NodeCapacity node, DeviceKind kind, long rankBytes, List<(NodeId Node, string Device, long Bytes)> before)
    {
        var left = node.Memory.CpuFree - before.Where(r => r.Device.StartsWith("cpu", StringComparison.Ordinal)).Sum(r => r.Bytes);
        var room = 0;
        foreach (var device in (node.Free.GetValueOrDefault(kind) ?? []).Where(d => before.All(r => r.Device != d)))
        {
            if (rankBytes > 0 && kind == DeviceKind.Cuda && node.Memory.Gpus.GetValueOrDefault(device) is var bytes and > 0
                && bytes < rankBytes)
                continue;
            if (rankBytes > 0 && kind == DeviceKind.Cpu && node.Memory.Cpu > 0 && (left -= rankBytes) < 0)
                break;
            room++;
        }

        return room;
    }
}
