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

    private static NodeCapacity RandomNode(int i, Random random) => ANode(
        $"node-{i}", free: random.Next(0, 9), busy: random.Next(0, 4), random.Next(3) == 0 ? DeviceKind.Cuda : DeviceKind.Cpu,
        [.. Sets.Where(_ => random.Next(4) > 0)], random.Next(2) == 0 ? [] : new() { ["zone"] = Zones[random.Next(2)] });

    private static WaitingJob RandomJob(List<NodeCapacity> nodes, Random random) => AJob(
        random.Next(1, 20), (DeviceKind)random.Next(1, 4), random.Next(3) == 0 ? random.Next(1, 5) : 0, random.Next(3),
        random.Next(3) == 0 ? new() { ["zone"] = Zones[random.Next(2)] } : [], Sets[random.Next(2)],
        random.Next(5) == 0 ? Now.AddSeconds(random.Next(-5, 5)) : null,
        nodes.Count > 0 && random.Next(4) == 0 ? [nodes[random.Next(nodes.Count)].Id] : [], random.Next(100));

    private static void Check(ClusterSnapshot snapshot)
    {
        var ordered = QueueOrder.Sort(snapshot.Waiting);
        var decisions = GangPlacement.Decide(snapshot, ordered);

        decisions.Select(d => d.Job).ShouldBe(ordered.Select(j => j.Id), "one decision a job, in order");
        GangPlacement.Decide(snapshot, ordered).Select(d => d.ToString()).ShouldBe(decisions.Select(d => d.ToString()), "the same again");
        var byId = snapshot.Nodes.ToDictionary(n => n.Id);
        var given = new HashSet<(NodeId, string)>();
        var passed = new List<DeviceNeed>();
        for (var i = 0; i < decisions.Count; i++)
        {
            if (decisions[i] is PlacementDecision.Placed placed)
                CheckPlaced(ordered[i], placed, byId, given, passed);
            else if (!(ordered[i].NotBefore > snapshot.TakenAt) && Feasibility.Suffices(ordered[i].Need, snapshot.Nodes))
                passed.Add(ordered[i].Need);
        }

        CheckHead(snapshot, ordered, decisions, given);
        decisions.OfType<PlacementDecision.Waits>().Where(w => w.Position > 0).Select(w => w.Position)
            .ShouldBe(Enumerable.Range(1, decisions.OfType<PlacementDecision.Waits>().Count(w => w.Position > 0)));
    }

    private static void CheckPlaced(
        WaitingJob job, PlacementDecision.Placed placed, Dictionary<NodeId, NodeCapacity> nodes, HashSet<(NodeId, string)> given, List<DeviceNeed> passed)
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
            passed.Any(p => p.Admits(node) && p.Kinds.Contains(kind)).ShouldBeFalse("nobody is passed on a device that they could use");
        }

        kinds.Count.ShouldBe(1, "never a mixture of kinds");
        var perNode = placed.Ranks.GroupBy(r => r.Node).ToList();
        if (job.Need.MaxPerNode > 0)
            perNode.Max(g => g.Count()).ShouldBeLessThanOrEqualTo(job.Need.MaxPerNode);
        placed.Ranks.Zip(placed.Ranks.Skip(1)).Count(p => p.First.Node != p.Second.Node).ShouldBe(perNode.Count - 1, "a node's ranks stand together");
    }

    /// <summary>The first that waits really does not fit on what those before it left.</summary>
    private static void CheckHead(
        ClusterSnapshot snapshot, IReadOnlyList<WaitingJob> ordered, IReadOnlyList<PlacementDecision> decisions, HashSet<(NodeId, string)> given)
    {
        var head = Enumerable.Range(0, ordered.Count).FirstOrDefault(i => decisions[i] is PlacementDecision.Waits { Position: 1 }, -1);
        if (head < 0)
            return;
        var before = decisions.Take(head).OfType<PlacementDecision.Placed>().SelectMany(p => p.Ranks).Select(r => (r.Node, r.Device)).ToHashSet();
        given.IsSupersetOf(before).ShouldBeTrue();
        foreach (var kind in ordered[head].Need.Kinds)
        {
            snapshot.Nodes.Where(ordered[head].Need.Admits)
                .Sum(n => ordered[head].Need.Capped(n.Free.GetValueOrDefault(kind)?.Count(d => !before.Contains((n.Id, d))) ?? 0))
                .ShouldBeLessThan(ordered[head].Need.Devices);
        }
    }
}
