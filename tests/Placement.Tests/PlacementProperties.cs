using CsCheck;

namespace Cluster.Placement.Tests;

/// <summary>What holds for every cluster and every queue, whatever has become of them before.</summary>
public class PlacementProperties
{
    protected virtual long Cases => 1_000;

    /// <summary>A device is given to one job, which is free for it, and the memory beside it is there.</summary>
    [Fact]
    public void NothingIsOverAllocated() => ForAll((picture, state) =>
    {
        var granted = picture.Granted.Values.SelectMany(g => g.Devices).ToHashSet();
        var bytes = picture.Granted.Values.SelectMany(g => g.Devices.Select(d => (d, g.Memory.Cpu))).ToDictionary();
        var plan = state.Decide(ClusterBuilder.Now, ClusterBuilder.Policy);
        foreach (var (job, rank) in plan.Resizes.SelectMany(resize => resize.Gains.Select(rank => (resize.Job, rank))))
        {
            var gained = new GrantedDevice(rank.Node, rank.Device);
            granted.Add(gained).ShouldBeTrue("no device twice");
            bytes.Add(gained, picture.Granted[job].Facts!.Need!.Memory.Cpu);
            picture.Nodes[gained.Node].Usable.ShouldBeTrue("nothing on a node that is not there");
        }

        foreach (var start in plan.Starts)
        {
            foreach (var rank in start.Ranks)
            {
                var device = new GrantedDevice(rank.Node, rank.Device);
                granted.Add(device).ShouldBeTrue("no device twice");
                bytes.Add(device, picture.Waiting[start.Job].Need.Memory.Cpu);
                picture.Nodes[rank.Node].Usable.ShouldBeTrue("nothing on a node that is not there");
                rank.NodeEpoch.ShouldBe(picture.Nodes[rank.Node].Epoch);
                if (rank.Device.StartsWith("cpu", StringComparison.Ordinal) && picture.Waiting[start.Job].Need.Memory.Cpu > 0)
                    CheckMemory(picture.Nodes[rank.Node], bytes);
            }
        }
    });

    /// <summary>A job gets all its devices or none, of one kind, on nodes that it admits, and not while it pauses.</summary>
    [Fact]
    public void GangsAreWhole() => ForAll((picture, state) =>
    {
        foreach (var (id, ranks) in state.Decide(ClusterBuilder.Now, ClusterBuilder.Policy).Starts)
        {
            var job = picture.Waiting[id];
            var kinds = new HashSet<DeviceClass>();
            ranks.Length.ShouldBeInRange(job.Need.Fewest, job.Need.Devices);
            job.Pauses(ClusterBuilder.Now).ShouldBeFalse("a pause is waited out");
            foreach (var rank in ranks)
            {
                var node = picture.Nodes[rank.Node];
                var device = node.Devices.Single(d => d.Id == rank.Device);
                kinds.Add(device.Kind);
                job.Need.Kinds.ShouldContain(device.Kind);
                if (device is { Kind: DeviceClass.Cuda, MemoryBytes: > 0 })
                    device.MemoryBytes.ShouldBeGreaterThanOrEqualTo(job.Need.Memory.Gpu);
                job.Need.Labels.All(l => node.Labels.Contains(l)).ShouldBeTrue("labels");
                (job.Need.DataSet.Length == 0 || node.DataSets.Contains(job.Need.DataSet)).ShouldBeTrue("data");
            }

            var perNode = ranks.CountBy(r => r.Node).ToList();
            kinds.Count.ShouldBe(1, "never a mixture of kinds");
            perNode.Max(n => n.Value).ShouldBeLessThanOrEqualTo(job.Need.MaxPerNode > 0 ? job.Need.MaxPerNode : int.MaxValue);
            ranks.Zip(ranks.Skip(1)).Count(p => p.First.Node != p.Second.Node)
                .ShouldBe(perNode.Count - 1, "a node's ranks stand together");
        }
    });

    /// <summary>Deciding changes nothing: the same state gives the same plan again.</summary>
    [Fact]
    public void TheSameState_GivesTheSamePlan() => ForAll((_, state) =>
    {
        var before = state.Describe();
        var plan = Words(state.Decide(ClusterBuilder.Now, ClusterBuilder.Policy));

        state.Describe().ShouldBe(before);
        Words(state.Decide(ClusterBuilder.Now, ClusterBuilder.Policy)).ShouldBe(plan);
    });

    /// <summary>However a state came about, it is that of a cluster read at once, and decides alike.</summary>
    [Fact]
    public void ApplyOfAnyHistory_EqualsAFreshRead() => ForAll((picture, state) =>
    {
        var fresh = picture.Read();

        state.Describe().ShouldBe(fresh.Describe());
        state.Waiting.ShouldBe(picture.Waiting.Count);
        Words(state.Decide(ClusterBuilder.Now, ClusterBuilder.Policy))
            .ShouldBe(Words(fresh.Decide(ClusterBuilder.Now, ClusterBuilder.Policy)));
    });

    /// <summary>What is told again makes no difference.</summary>
    [Fact]
    public void AChangeToldAgain_ChangesNothing() => ForAll((picture, state) =>
    {
        var before = state.Describe();
        foreach (var node in picture.Nodes.Values)
            state.Apply(new ClusterChange.NodeChanged(node));
        foreach (var granted in picture.Granted.Values)
            state.Apply(granted);
        foreach (var job in picture.Waiting.Values)
            state.Apply(new ClusterChange.JobQueued(job));

        state.Describe().ShouldBe(before);
    });

    /// <summary>Who starts, where, and why the others wait is what the plainly written rules say.</summary>
    [Fact]
    public void ThePlan_IsTheReferences() => ForAll(Histories.Any, (picture, state) =>
    {
        // With nodes that are expected back, and nodes that are not.
        var policy = ClusterBuilder.Policy with { LostNodeHold = ClusterBuilder.LongestHold };
        var plan = state.Decide(ClusterBuilder.Now, policy);
        var (starts, waits) = ReferencePlacement.Decide(picture, ClusterBuilder.Now, policy);

        plan.Starts.ToDictionary(s => s.Job, s => string.Join(' ', s.Ranks.Select(r => $"{r.Node}/{r.Device}")))
            .ShouldBe(starts.ToDictionary(s => s.Key, s => string.Join(' ', s.Value)), ignoreOrder: true);
        plan.Waiting.Sum(w => w.Jobs).ShouldBe(waits.Count);
        plan.BackingOff.ShouldBe(
            picture.Waiting.Values.Where(j => j.Pauses(ClusterBuilder.Now)).CountBy(j => j.Queue), ignoreOrder: true);
        foreach (var (job, why) in waits)
        {
            var (queue, shape) = (picture.Waiting[job].Queue, picture.Waiting[job].Need.Shape());
            var reason = plan.Waiting.Single(w => w.Queue == queue && w.Shape == shape).Reason;
            reason.Cause.ShouldBe(why.Cause);
            if (why.Claim is not null)
                reason.Words.ShouldContain($" kept for {why.Claim}");
            else if (why is { Free: > 1 })
                reason.Words.ShouldContain($"; {why.Free} of the {why.All} that it could use are free");
            reason.Words.EndsWith("others may start before it", StringComparison.Ordinal)
                .ShouldBe(why is { Cause: WaitCause.WaitingForNode, Keeps: false });
        }
    });

    private static void CheckMemory(RegisteredNode node, Dictionary<GrantedDevice, long> bytes)
    {
        var cpu = node.Devices.Where(d => d.Kind == DeviceClass.Cpu).ToList();
        var taken = cpu.Sum(d => bytes.GetValueOrDefault(new GrantedDevice(node.Id, d.Id)));
        if (cpu.Sum(d => d.MemoryBytes) is var all and > 0)
            taken.ShouldBeLessThanOrEqualTo(all, "ranks take together what there is");
    }

    private static string Words(PlacementPlan plan) => string.Join('\n', [
        .. plan.Starts.Select(s => $"{s.Job}: {string.Join(", ", s.Ranks)}"),
        .. plan.Preemptions.Select(p => $"{p} {string.Join(' ', p.Devices)}"),
        .. plan.Resizes.Select(r => $"{r} {string.Join(' ', r.Keeps)} {string.Join(' ', r.Gains)}"),
        .. plan.Reservations.Select(r => $"{r} {string.Join(' ', r.Ranks)}"),
        .. plan.Uses.Select(u => $"{u}").Order(StringComparer.Ordinal),
        .. plan.Waiting.Select(w => $"{w.Queue} {w.Shape}: {w.Jobs} {w.Reason}").Order(StringComparer.Ordinal),
        .. plan.BackingOff.Select(b => $"{b.Key} {b.Value} back off").Order(StringComparer.Ordinal),
    ]);

    /// <summary>Without queues, and with them.</summary>
    private void ForAll(Action<ClusterPicture, ClusterState> property)
    {
        ForAll(Histories.Any, property);
        ForAll(Histories.WithQueues, property);
    }

    private void ForAll(Gen<ClusterChange?[]> histories, Action<ClusterPicture, ClusterState> property) => histories.Sample(
        history =>
        {
            var (picture, state) = Histories.Live(history);
            property(picture, state);
        },
        iter: Cases, print: Histories.Print);
}

/// <inheritdoc/>
[Trait("Round", "full")]
public sealed class ManyPlacementProperties : PlacementProperties
{
    protected override long Cases => 10_000;
}
