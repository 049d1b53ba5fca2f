using System.Collections.Immutable;
using Cluster.Bench.Placement;
using Cluster.Placement.Queues;
using CsCheck;

namespace Cluster.Placement.Tests;

/// <summary>A small cluster of one kind of device with queues, and the jobs that it is sent in an hour.</summary>
internal sealed record World(int[] Nodes, QueueSpec[] Queues, (VirtualJob Job, int AtSeconds)[] Jobs)
{
    public static readonly PlacementPolicy Policy = ClusterBuilder.Policy with
    {
        Grace = TimeSpan.FromSeconds(20),
        Patience = TimeSpan.FromMinutes(1),
        BetweenResizes = TimeSpan.FromMinutes(2),
    };

    public int Capacity => Nodes.Sum();

    /// <summary>Some worlds in which every job fits, and quotas that fit together.</summary>
    /// <param name="like">What its jobs have of all that jobs may have.</param>
    public static Gen<World> Any(Traits like) =>
        from nodes in Gen.Int[1, 4].Array[1, 4]
        from queues in like.HasFlag(Traits.Queues) ? QueuesOf(nodes.Sum(), like) : Gen.Const(Array.Empty<QueueSpec>())
        from jobs in JobOf(nodes.Sum(), queues.Length, like).Array[1, 24]
        select new World(nodes, queues, [.. jobs.Select((job, i) => Named(job, i, queues))]);

    /// <summary>The cluster with all that is to happen in it.</summary>
    public VirtualCluster Build(PlacementPolicy? policy = null)
    {
        var cluster = new VirtualCluster(policy ?? Policy);
        for (var i = 0; i < Nodes.Length; i++)
            cluster.Add(NodeOf(i, Nodes[i]));
        foreach (var queue in Queues)
            cluster.Declare(queue);
        foreach (var (job, at) in Jobs)
            cluster.Submit(job, DateTimeOffset.UnixEpoch.AddSeconds(at));
        return cluster;
    }

    public QueueSpec QueueOf(QueueKey key) => Queues.FirstOrDefault(queue => queue.Key == key) ?? new QueueSpec(key);

    public int Nominal(QueueKey key) => QueueOf(key).Quotas.GetValueOrDefault(DeviceClass.Cpu)?.Nominal ?? 0;

    public static int Used(VirtualCluster cluster, QueueKey queue) =>
        cluster.Running.Where(life => life.Job.Terms.Queue == queue).Sum(life => life.Devices.Length);

    public static string Print(World world) =>
        $"nodes of {string.Join(", ", world.Nodes)}\n{string.Join('\n', world.Queues.Select(q => q.Describe()))}\n"
        + string.Join('\n', world.Jobs.Select(job => $"at {job.AtSeconds} s: {job.Job}"));

    private static Gen<QueueSpec[]> QueuesOf(int capacity, Traits like) =>
        from count in Gen.Int[1, 3]
        from parts in Gen.Int[0, capacity].Array[count]
        from weights in Gen.Int[1, 3].Array[count]
        from borrowing in Gen.Int[0, capacity * 2].Array[count]
        from lending in Gen.Int[0, capacity * 2].Array[count]
        select Enumerable.Range(0, count).Select(i => QueueOf(i, parts, weights, borrowing, lending, capacity, like)).ToArray();

    private static QueueSpec QueueOf(int i, int[] parts, int[] weights, int[] borrowing, int[] lending, int capacity, Traits like)
    {
        // What is left of the cluster by those before it, so that all quotas can be kept.
        var nominal = Math.Min(parts[i], Math.Max(0, capacity - parts.Take(i).Sum()));
        var limits = like.HasFlag(Traits.Limits);
        var quota = new Quota(
            nominal, limits && borrowing[i] <= capacity ? borrowing[i] : null, limits && lending[i] <= nominal ? lending[i] : null);
        return new QueueSpec(new QueueKey($"q{i}"))
        {
            Weight = weights[i],
            Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(DeviceClass.Cpu, quota),
            OwnerLimits = limits && lending[i] % 3 == 0
                ? ImmutableDictionary<DeviceClass, int>.Empty.Add(DeviceClass.Cpu, 1 + (lending[i] / 3))
                : ImmutableDictionary<DeviceClass, int>.Empty,
        };
    }

    private static Gen<(VirtualJob Job, int At, int Queue)> JobOf(int capacity, int queues, Traits like) => Gen.Select(
        Gen.Int[1, capacity], Gen.Int[0, 2], Gen.Int[0, 360], Gen.Int[1, 60], Gen.Int[0, 6], Gen.Int[0, 4], Gen.Int[0, 9],
        Gen.Int[0, Math.Max(0, queues - 1)],
        (devices, priority, at, minutes, every, least, rest, queue) =>
        {
            var runs = TimeSpan.FromSeconds(minutes * 10);
            var elastic = like.HasFlag(Traits.Elastic) && rest < 3 ? 1 + (devices / 3) : 0;
            var need = ClusterBuilder.AJob(devices).Need with { MinDevices = elastic };
            var terms = ClusterBuilder.AJob(1, priority: like.HasFlag(Traits.Priorities) ? priority : 0) with
            {
                Need = need,
                Owner = $"owner-{rest % 2}",
                Runtime = new(runs, runs),
            };
            return (new VirtualJob(terms, runs * devices)
            {
                CheckpointEvery = TimeSpan.FromSeconds(every * 15),
                Restarting = TimeSpan.FromSeconds(like.HasFlag(Traits.Priorities) ? 5 : 0),
                MinRuntime = like.HasFlag(Traits.MinRuntimes) ? TimeSpan.FromSeconds(least * 30) : TimeSpan.Zero,
                FailsAt = like.HasFlag(Traits.Failures) && rest > 6 ? 0.5 : null,
                Restarts = rest > 7,
            }, at * 10, queue);
        });

    private static (VirtualJob Job, int AtSeconds) Named((VirtualJob Job, int At, int Queue) job, int i, QueueSpec[] queues)
    {
        var queue = queues.Length == 0 ? QueueKey.Default : queues[job.Queue].Key;
        var terms = job.Job.Terms with
        {
            Id = new JobKey(new Guid(i + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
            Queue = queue,
            Age = DateTimeOffset.UnixEpoch.AddSeconds(job.At),
        };
        return (job.Job with { Terms = terms }, job.At);
    }

    private static RegisteredNode NodeOf(int i, int devices) => ClusterBuilder.ANode($"node-{i}", devices).Node with
    {
        Id = new NodeKey(new Guid(i + 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    };
}

[Flags]
internal enum Traits
{
    None = 0,
    Queues = 1,

    /// <summary>Of borrowing, lending and owners.</summary>
    Limits = 2,
    Priorities = 4,
    Elastic = 8,
    MinRuntimes = 16,
    Failures = 32,
}
