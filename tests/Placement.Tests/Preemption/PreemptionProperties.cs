using System.Collections.Immutable;
using Cluster.Bench.Placement;
using Cluster.Placement.Preemption;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;
using CsCheck;

namespace Cluster.Placement.Tests.Preemption;

public class PreemptionProperties
{
    private const int Cycles = 1_000;

    private static readonly DateTimeOffset Now = ClusterBuilder.Now;

    private static readonly Gen<Case> Cases = Gen.Select(
        Gen.Int[1, 4].Array[1, 3], Gen.Int[0, 6].Array[2],
        Gen.Select(Gen.Int[1, 4], Gen.Int[0, 2], Gen.Int[0, 2], Gen.Int[0, 60], Gen.Int[0, 9]).Array[1, 8],
        Gen.Select(Gen.Int[1, 6], Gen.Int[0, 1], Gen.Int[0, 2], Gen.Int[0, 2]),
        (nodes, nominals, running, waiting) => new Case(nodes, nominals, running, waiting));

    protected virtual int Histories => 6;

    protected virtual long SmallCases => 3_000;

    /// <summary>Two jobs never preempt each other in turn, over any history of 1,000 cycles.</summary>
    [Fact]
    public void NoTwoJobsPreemptEachOtherInTurn() => World.Any(
        Traits.Queues | Traits.Limits | Traits.Priorities | Traits.Elastic | Traits.MinRuntimes | Traits.Failures).Sample(
        world =>
        {
            var (cluster, preempted, over) = (world.Build(), new HashSet<(JobKey, JobKey)>(), new Queue<VirtualJob>());
            cluster.Over = life => over.Enqueue(life.Job);
            var number = 1000;
            for (var cycle = 0; cycle < Cycles && cluster.Step() is { } plan; cycle++)
            {
                foreach (var (job, other) in plan.Preemptions.Select(p => (p.Job, p.For)))
                {
                    preempted.Add((job, other));
                    if (preempted.Contains((other, job)))
                        throw new InvalidOperationException($"{job} is preempted for {other}, and it was the other way round before");
                }

                // Who has ended comes again, so that there is always something to decide.
                while (over.TryDequeue(out var job))
                    Again(cluster, job, ++number);
            }
        },
        iter: Histories, print: World.Print);

    /// <summary>A plan never loses more work than the cheapest set of victims that fits.</summary>
    [Fact]
    public void NoSetOfVictimsThatFitsLosesLess() => Cases.Sample(
        small =>
        {
            var plan = small.Decide();
            if (plan.Starts.Length > 0)
                return;
            var cheapest = small.Cheapest();
            var loses = plan.Preemptions.Length == 0 ? (double?)null : plan.Preemptions.Sum(p => p.LostDeviceSeconds);
            if (cheapest is { } least)
                loses.ShouldNotBeNull("there is one that fits").ShouldBe(least, 1e-6);
            else
                loses.ShouldBeNull();
        },
        iter: SmallCases);

    private static void Again(VirtualCluster cluster, VirtualJob job, int number)
    {
        var at = cluster.Now.AddSeconds(10 + (number % 7 * 20));
        var id = new JobKey(new Guid(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
        cluster.Submit(job with { Terms = job.Terms with { Id = id, Age = at } }, at);
    }

    /// <param name="Nodes">How many devices each has.</param>
    /// <param name="Nominals">Of the two queues.</param>
    /// <param name="Running">Devices, queue (2: the default one), priority, minutes since the checkpoint; 0: never stopped.</param>
    /// <param name="Waiting">Devices, queue, priority, and the most a node.</param>
    private sealed record Case(
        int[] Nodes, int[] Nominals, (int Devices, int Queue, int Priority, int Minutes, int Stops)[] Running,
        (int Devices, int Queue, int Priority, int MaxPerNode) Waiting)
    {
        private readonly List<(int Index, ImmutableArray<GrantedDevice> Devices)> _placed = Place(Nodes, Running);

        public PlacementPlan Decide()
        {
            var state = new ClusterState();
            for (var i = 0; i < Nodes.Length; i++)
                state.Apply(new ClusterChange.NodeChanged(ClusterBuilder.ANode($"n{i}", Nodes[i]).Node with { Id = NodeOf(i) }));
            for (var i = 0; i < Nominals.Length; i++)
            {
                state.Apply(new ClusterChange.QueueChanged(new QueueSpec(QueueOf(i))
                {
                    Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(DeviceClass.Cpu, new Quota(Nominals[i])),
                }));
            }

            foreach (var (index, devices) in _placed)
            {
                var run = Running[index];
                state.Apply(new ClusterChange.JobGranted(new JobKey(new Guid(index + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), default, devices)
                {
                    Facts = new RunningFacts(QueueOf(run.Queue), "", run.Priority, Now.AddHours(-2))
                    {
                        CommittedAt = Now.AddMinutes(-run.Minutes),
                        Preemptible = run.Stops > 0,
                    },
                });
            }

            var job = ClusterBuilder.AJob(Waiting.Devices, maxPerNode: Waiting.MaxPerNode, priority: Waiting.Priority) with
            {
                Queue = QueueOf(Waiting.Queue),
            };
            state.Apply(new ClusterChange.JobQueued(job));
            return state.Decide(Now, ClusterBuilder.Policy);
        }

        /// <summary>By trying all sets.</summary>
        public double? Cheapest()
        {
            double? cheapest = null;
            for (var set = 1; set < 1 << _placed.Count; set++)
            {
                var victims = _placed.Where((_, i) => (set >> i & 1) == 1).ToList();
                if (!victims.TrueForAll(v => May(Running[v.Index])) || !KeepsQuotas(victims) || !Fits(victims))
                    continue;
                var loss = victims.Sum(v => v.Devices.Length * Running[v.Index].Minutes * 60.0);
                cheapest = Math.Min(cheapest ?? loss, loss);
            }

            return cheapest;
        }

        private bool May((int Devices, int Queue, int Priority, int Minutes, int Stops) run) =>
            run.Stops > 0 && (run.Queue == Waiting.Queue ? run.Priority < Waiting.Priority
                : Used(Waiting.Queue) + Waiting.Devices <= Nominal(Waiting.Queue));

        private bool KeepsQuotas(List<(int Index, ImmutableArray<GrantedDevice> Devices)> victims) => victims
            .Where(v => Running[v.Index].Queue != Waiting.Queue).GroupBy(v => Running[v.Index].Queue).All(same =>
                same.Sum(v => v.Devices.Length) - same.Max(v => v.Devices.Length) < Used(same.Key) - Nominal(same.Key));

        private bool Fits(List<(int Index, ImmutableArray<GrantedDevice> Devices)> victims)
        {
            var taken = _placed.Except(victims).SelectMany(p => p.Devices).CountBy(d => d.Node).ToDictionary();
            var most = Waiting.MaxPerNode == 0 ? int.MaxValue : Waiting.MaxPerNode;
            return Nodes.Select((devices, i) => Math.Min(most, devices - taken.GetValueOrDefault(NodeOf(i)))).Sum() >= Waiting.Devices;
        }

        private int Used(int queue) => _placed.Where(p => Running[p.Index].Queue == queue).Sum(p => p.Devices.Length);

        private int Nominal(int queue) => queue < Nominals.Length ? Nominals[queue] : 0;

        private static QueueKey QueueOf(int queue) => queue < 2 ? new QueueKey($"q{queue}") : QueueKey.Default;

        private static NodeKey NodeOf(int node) => new(new Guid(node + 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0));

        /// <summary>One after the other on the devices in their order, as many as fit.</summary>
        private static List<(int, ImmutableArray<GrantedDevice>)> Place(
            int[] nodes, (int Devices, int Queue, int Priority, int Minutes, int Stops)[] running)
        {
            var free = nodes.SelectMany((devices, node) =>
                Enumerable.Range(0, devices).Select(d => new GrantedDevice(NodeOf(node), $"cpu:{d}"))).ToList();
            var placed = new List<(int, ImmutableArray<GrantedDevice>)>();
            for (var i = 0; i < running.Length && free.Count > 0; i++)
            {
                placed.Add((i, [.. free.Take(running[i].Devices)]));
                free.RemoveRange(0, placed[^1].Item2.Length);
            }

            return placed;
        }
    }
}

/// <inheritdoc/>
[Trait("Round", "full")]
public sealed class ManyPreemptionProperties : PreemptionProperties
{
    protected override int Histories => 10_000;

    protected override long SmallCases => 10_000;
}
