using Cluster.Bench.Placement;
using CsCheck;

namespace Cluster.Placement.Tests.Queues;

/// <summary>What holds in every cycle of every small cluster with queues, whatever is sent to it.</summary>
public class QueueProperties
{
    private const Traits All = Traits.Queues | Traits.Priorities | Traits.Elastic | Traits.MinRuntimes | Traits.Failures;

    private const int MostCycles = 5_000;

    private const Traits Asking = Traits.Queues | Traits.Priorities | Traits.Elastic;

    private static readonly DateTimeOffset LastArrival = DateTimeOffset.UnixEpoch.AddHours(1);
    private static readonly DateTimeOffset Late = DateTimeOffset.UnixEpoch.AddHours(6);

    private static readonly PlacementPolicy Policy = World.Policy;

    // One shrink for another job that asked before, and the cycle after it.
    private static readonly TimeSpan LongestShrink = 2 * Policy.Grace;

    protected virtual long Cases => 100;

    /// <summary>
    /// A queue gets its quota whenever it asks for it: its first jobs start, or are promised devices soon: when others have had their time
    /// for a checkpoint, or end themselves if that is hardly later. A job that is being shrunk is asked for more only when that is done: so
    /// long it may take, and no longer.
    /// </summary>
    [Fact]
    public void AQueueGetsItsQuotaWheneverItAsks() => World.Any(Asking).Sample(
        world =>
        {
            var (cluster, since) = (world.Build(), new Dictionary<JobKey, DateTimeOffset>());
            Run(cluster, plan => CheckQuotas(world, cluster, plan, since));
        },
        iter: Cases, print: World.Print);

    /// <param name="since">Since when jobs are owed devices that they are not promised.</param>
    private static void CheckQuotas(World world, VirtualCluster cluster, PlacementPlan plan, Dictionary<JobKey, DateTimeOffset> since)
    {
        var soon = cluster.Now + Policy.Grace + Policy.Patience;
        var promised = plan.Reservations.Where(r => r.At <= soon).Select(r => r.Job).ToHashSet();
        var shrinks = cluster.Running.Any(life => life.Release is { } release && release.Devices.Length < life.Devices.Length);
        var leftOut = new HashSet<JobKey>();
        foreach (var queue in Waiting(cluster).GroupBy(life => life.Job.Terms.Queue))
        {
            var used = World.Used(cluster, queue.Key);
            foreach (var life in queue)
            {
                var id = life.Job.Terms.Id;
                used += life.Job.Terms.Need.Fewest;
                if (used > world.Nominal(queue.Key))
                    break;
                if (promised.Contains(id))
                    continue;
                leftOut.Add(id);
                since.TryAdd(id, cluster.Now);
                if (!shrinks || cluster.Now - since[id] > LongestShrink)
                    throw new InvalidOperationException($"{id} of {queue.Key} is owed devices: {Picture(cluster, plan)}");
                // Those behind it are owed nothing yet.
                break;
            }
        }

        foreach (var served in since.Keys.Except(leftOut).ToList())
            since.Remove(served);
    }

    /// <summary>
    /// Preemption keeps the order of shares: between queues it takes from one that is beyond its quota until the last of its jobs goes, for
    /// one that is within its own afterwards.
    /// </summary>
    [Fact]
    public void PreemptionKeepsTheOrderOfShares() => InEachCycle(Traits.Queues | Traits.Priorities, (world, cluster, before, plan) =>
    {
        foreach (var same in plan.Preemptions.Where(p => p.Cause == Cluster.Placement.Preemption.PreemptionCause.OwedQuota)
            .GroupBy(p => cluster.Lives[p.Job].Job.Terms.Queue))
        {
            var beyond = before.Staying(same.Key) - world.Nominal(same.Key);
            (same.Sum(p => p.Devices.Length) - same.Max(p => p.Devices.Length)).ShouldBeLessThan(beyond);
            foreach (var job in same.Select(p => p.For).Distinct().Select(id => cluster.Lives[id].Job.Terms))
            {
                job.Queue.ShouldNotBe(same.Key);
                (before.Used(job.Queue) + job.Need.Fewest).ShouldBeLessThanOrEqualTo(world.Nominal(job.Queue));
            }
        }
    });

    /// <summary>In one queue only a higher priority has others stopped.</summary>
    [Fact]
    public void WithinAQueueOnlyAHigherPriorityPreempts() => InEachCycle(All, (_, cluster, _, plan) =>
    {
        foreach (var preempted in plan.Preemptions)
        {
            var (victim, other) = (cluster.Lives[preempted.Job].Job.Terms, cluster.Lives[preempted.For].Job.Terms);
            if (victim.Queue == other.Queue)
                other.Priority.ShouldBeGreaterThan(victim.Priority);
        }
    });

    /// <summary>A gang starts with all that it asks for, or with a number in its range, and is stopped as a whole.</summary>
    [Fact]
    public void GangsAreWhole() => InEachCycle(All, (_, cluster, before, plan) =>
    {
        foreach (var start in plan.Starts)
        {
            var need = cluster.Lives[start.Job].Job.Terms.Need;
            start.Ranks.Length.ShouldBeInRange(need.Fewest, need.Devices);
        }

        foreach (var preempted in plan.Preemptions)
            preempted.Devices.ShouldBe(before.Devices[preempted.Job]);
        foreach (var resize in plan.Resizes)
        {
            var need = cluster.Lives[resize.Job].Job.Terms.Need;
            (resize.Keeps.Length + resize.Gains.Length).ShouldBeInRange(need.Fewest, need.Devices);
        }
    });

    /// <summary>Nobody is stopped before it has run for its minimum.</summary>
    [Fact]
    public void TheMinimumRuntimeIsKept() => InEachCycle(All, (_, cluster, before, plan) =>
    {
        foreach (var job in plan.Preemptions.Select(p => p.Job).Concat(plan.Resizes.Where(r => r.For is not null).Select(r => r.Job)))
            (cluster.Now - before.Started[job]).ShouldBeGreaterThanOrEqualTo(cluster.Lives[job].Job.MinRuntime);
    });

    /// <summary>No queue has more than its quota and what it may borrow, no owner more than the limit, nobody what is not lent.</summary>
    [Fact]
    public void QuotasAndLimitsAreKept() => InEachCycle(All | Traits.Limits, (world, cluster, before, plan) =>
    {
        var started = plan.Starts.Select(s => cluster.Lives[s.Job].Job.Terms.Queue).ToHashSet();
        var free = world.Capacity - cluster.Running.Sum(life => life.Devices.Length);
        foreach (var queue in world.Queues)
        {
            var quota = queue.Quotas[DeviceClass.Cpu];
            var used = World.Used(cluster, queue.Key);
            if (quota.BorrowingLimit is { } most)
                used.ShouldBeLessThanOrEqualTo(quota.Nominal + most);
            if (queue.OwnerLimits.TryGetValue(DeviceClass.Cpu, out var limit))
            {
                foreach (var same in cluster.Running.Where(l => l.Job.Terms.Queue == queue.Key).GroupBy(l => l.Job.Terms.Owner))
                    same.Sum(life => life.Devices.Length).ShouldBeLessThanOrEqualTo(limit);
            }
        }

        // What is on its way to a queue is not kept for it, too.
        var promised = plan.Reservations.Where(r => r.At <= cluster.Now + Policy.Grace + Policy.Patience).GroupBy(r => r.Queue)
            .ToDictionary(same => same.Key, same => same.Sum(r => r.Ranks.Sum(ranks => ranks.Count)));
        var kept = world.Queues.Where(queue => !started.Contains(queue.Key)).Sum(queue => Math.Max(
            0, queue.Quotas[DeviceClass.Cpu] is { LendingLimit: { } lent } quota
                ? quota.Nominal - lent - World.Used(cluster, queue.Key) - promised.GetValueOrDefault(queue.Key) : 0));
        if (plan.Starts.Length > 0 && free < kept)
            throw new InvalidOperationException($"{free} are free though {kept} are not lent: {Picture(cluster, plan)}");
    });

    /// <summary>No job starves: all that may ever start is started, and ends, once no more jobs come.</summary>
    [Fact]
    public void NoJobStarves() => World.Any(All).Sample(
        world =>
        {
            var cluster = world.Build();
            Run(cluster, _ => { });
            cluster.Lives.Values.ShouldAllBe(life => life.EndedAt != null);
        },
        iter: Cases, print: World.Print);

    private void InEachCycle(Traits like, Action<World, VirtualCluster, Before, PlacementPlan> property) => World.Any(like).Sample(
        world =>
        {
            var cluster = world.Build();
            Before? before = null;
            cluster.Observe = plan => before = DoesAnything(plan) ? Before.Of(cluster) : null;
            Run(cluster, plan =>
            {
                if (before is not null)
                    property(world, cluster, before, plan);
            });
        },
        iter: Cases, print: World.Print);

    /// <summary>Until nothing happens any more; minimum runtimes and rests between resizes pass meanwhile.</summary>
    internal static void Run(VirtualCluster cluster, Action<PlacementPlan> check)
    {
        cluster.At(DateTimeOffset.UnixEpoch, Tick);
        var last = new List<string>();
        for (var cycles = 0; cluster.Step() is { } plan; cycles++)
        {
            if (cycles > MostCycles - 5)
                last.Add(Picture(cluster, plan));
            if (cycles > MostCycles)
                throw new InvalidOperationException($"it does not come to rest: {string.Join('\n', last)}");
            check(plan);
        }

        // Time alone changes nothing while nobody waits and nobody could grow.
        bool Tick()
        {
            if (cluster.Now < Late && (cluster.Now < LastArrival || cluster.Lives.Values.Any(life => life.EndedAt is null)))
                cluster.At(cluster.Now.AddSeconds(30), Tick);
            return cluster.Lives.Values.Any(life => life.EndedAt is null && life.Devices.Length < life.Job.Terms.Need.Devices);
        }
    }

    private static bool DoesAnything(PlacementPlan plan) => plan.Starts.Length + plan.Preemptions.Length + plan.Resizes.Length > 0;

    private static string Picture(VirtualCluster cluster, PlacementPlan plan) => string.Join('\n', [
        $"at {cluster.Now:T}",
        .. cluster.Running.Select(l => $"{l.Job.Terms.Id} of {l.Job.Terms.Queue} has {l.Devices.Length} until {l.Ends:T} {l.Release}"),
        .. Waiting(cluster).Select(l => $"{l.Job.Terms.Id} of {l.Job.Terms.Queue} waits for {l.Job.Terms.Need.Shape()}"),
        .. plan.Starts.Select(s => $"{s.Job} starts"), .. plan.Preemptions.Select(p => $"{p.Job} {p.Words}"),
        .. plan.Resizes.Select(r => $"{r.Job} keeps {r.Keeps.Length} and gains {r.Gains.Length}"),
        .. plan.Reservations.Select(r => $"{r.Job} is to start at {r.At:T}"),
    ]);

    private static IEnumerable<Life> Waiting(VirtualCluster cluster) => cluster.Lives.Values
        .Where(life => life.EndedAt is null && life.Devices.Length == 0).OrderBy(life => life.Job.Terms, QueueOrder.Instance);

    /// <summary>The cluster as the cycle found it.</summary>
    internal sealed record Before(
        Dictionary<JobKey, System.Collections.Immutable.ImmutableArray<GrantedDevice>> Devices, Dictionary<JobKey, DateTimeOffset> Started,
        Dictionary<QueueKey, int> AllUsed, Dictionary<QueueKey, int> Leaving)
    {
        public static Before Of(VirtualCluster cluster) => new(
            cluster.Running.ToDictionary(life => life.Job.Terms.Id, life => life.Devices),
            cluster.Running.ToDictionary(life => life.Job.Terms.Id, life => life.LastStart),
            cluster.Running.GroupBy(life => life.Job.Terms.Queue).ToDictionary(same => same.Key, same => same.Sum(l => l.Devices.Length)),
            cluster.Running.GroupBy(life => life.Job.Terms.Queue)
                .ToDictionary(same => same.Key, same => same.Sum(l => l.Release?.Devices.Length ?? 0)));

        public int Used(QueueKey queue) => AllUsed.GetValueOrDefault(queue);

        public int Staying(QueueKey queue) => Used(queue) - Leaving.GetValueOrDefault(queue);
    }
}

/// <inheritdoc/>
[Trait("Round", "full")]
public sealed class ManyQueueProperties : QueueProperties
{
    protected override long Cases => 10_000;
}
