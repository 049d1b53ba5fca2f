using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Cluster.Placement;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Bench.Placement;

/// <summary>A large cluster of GPUs that is full, with a long queue before it.</summary>
internal sealed class BusyCluster
{
    private const long Gib = 1L << 30;
    private const int ArrivalsPerCycle = 8;
    private const int CyclesToWarmUp = 20;

    private const int Queues = 10;
    private static readonly TimeSpan LongestRun = TimeSpan.FromHours(10);
    private static readonly PlacementPolicy Policy = new(TimeSpan.FromMinutes(10));
    private static readonly int[] Sizes = [1, 1, 1, 1, 2, 2, 4, 8, 8, 16, 64];
    private static readonly string[] Pools = ["a", "b", "c", "d"];

    private readonly ClusterState _state = new();
    private readonly Random _random = new(2012);
    private readonly List<JobKey> _running = [];
    private readonly bool _hasQuotas;

    // Who was told to release its devices in the last cycle, and comes back in this one.
    private readonly List<WaitingJob> _stopped = [];
    private readonly Dictionary<JobKey, WaitingJob> _known = [];
    private DateTimeOffset _now = DateTimeOffset.UnixEpoch;
    private int _jobs;

    /// <param name="hasQuotas">
    /// Whether queues have quotas, some more than they use and others less, so that devices are reclaimed all the while; and it is known of
    /// each job when it ends and when it wrote a checkpoint, so that starts are promised.
    /// </param>
    public BusyCluster(int nodes, int gpusPerNode, int waiting, bool hasQuotas)
    {
        _hasQuotas = hasQuotas;
        for (var queue = 0; hasQuotas && queue < Queues; queue++)
            Declare(queue, nodes * gpusPerNode / Queues);
        for (var i = 0; i < nodes; i++)
        {
            var node = NodeOf(i, gpusPerNode);
            _state.Apply(new ClusterChange.NodeChanged(node));
            // All but a few devices are in use, by jobs of a node each.
            var job = NextJob(gpusPerNode);
            var held = node.Devices.Take(i % 100 == 0 ? gpusPerNode - 1 : gpusPerNode);
            _state.Apply(new ClusterChange.JobGranted(job.Id, default, [.. held.Select(device => new GrantedDevice(node.Id, device.Id))])
            {
                Facts = FactsOf(job),
            });
            _running.Add(job.Id);
        }

        for (var i = 0; i < waiting; i++)
            _state.Apply(new ClusterChange.JobQueued(NextJob()));
        Cycles(CyclesToWarmUp);
    }

    /// <summary>How many jobs have started since the cluster was filled.</summary>
    public int Started { get; private set; }

    public int Preempted { get; private set; }

    public TimeSpan MedianCycle(int cycles) => Cycles(cycles).Order().ElementAt(cycles / 2);

    private List<TimeSpan> Cycles(int cycles) => [.. Enumerable.Range(0, cycles).Select(_ => Cycle())];

    /// <summary>Some jobs arrive, one ends, and what that allows is decided and noted.</summary>
    private TimeSpan Cycle()
    {
        var ended = _random.Next(_running.Count);
        List<ClusterChange> changes =
        [
            .. Enumerable.Range(0, ArrivalsPerCycle).Select(_ => new ClusterChange.JobQueued(NextJob())),
            new ClusterChange.JobEnded(_running[ended]),
            .. _stopped.Select(job => new ClusterChange.JobQueued(job)),
        ];
        _running[ended] = _running[^1];
        _running.RemoveAt(_running.Count - 1);
        _stopped.Clear();

        var watch = Stopwatch.StartNew();
        changes.ForEach(_state.Apply);
        var plan = _state.Decide(_now, Policy);
        foreach (var start in plan.Starts)
            _state.Apply(start.Granted(default, FactsOf(_known[start.Job])));
        foreach (var use in plan.Uses)
            _state.Apply(use);
        watch.Stop();
        _running.AddRange(plan.Starts.Select(start => start.Job));
        Started += plan.Starts.Length;
        Preempted += plan.Preemptions.Length;
        foreach (var preempted in plan.Preemptions)
        {
            _running.Remove(preempted.Job);
            _stopped.Add(_known[preempted.Job]);
        }

        return watch.Elapsed;
    }

    private void Declare(int queue, int fair) => _state.Apply(new ClusterChange.QueueChanged(new QueueSpec(QueueOf(queue))
    {
        // From half to one and a half of what each uses.
        Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(
            DeviceClass.Cuda, new Quota(fair * (Queues + (2 * queue) + 1) / (2 * Queues))),
    }));

    private RunningFacts? FactsOf(WaitingJob job) => !_hasQuotas ? null : new RunningFacts(job.Queue, job.Owner, job.Priority, _now)
    {
        CommittedAt = _now,
        Restarting = TimeSpan.FromMinutes(1),
        End = new Estimate(_now + job.Runtime!.Likely, _now + job.Runtime.Late),
    };

    private WaitingJob NextJob(int? gpus = null)
    {
        _now += TimeSpan.FromMilliseconds(1);
        var labels = new Dictionary<string, string> { ["pool"] = Pools[_random.Next(Pools.Length)] };
        var memory = new RankMemory(0, (1 + _random.Next(4)) * 10 * Gib);
        var need = new DeviceNeed(gpus ?? Sizes[_random.Next(Sizes.Length)], DeviceClass.Cuda, 0, labels, "imagenet", memory);
        var queue = QueueOf(_random.Next(Queues));
        var job = new WaitingJob(new JobKey(Id(++_jobs)), queue, need, _random.Next(3), _now, null, new HashSet<NodeKey>());
        var runs = LongestRun * _random.NextDouble();
        return _known[job.Id] = _hasQuotas ? job with { Runtime = new ExpectedRuntime(runs, runs) } : job;
    }

    private static QueueKey QueueOf(int queue) => new(string.Create(CultureInfo.InvariantCulture, $"queue-{queue}"));

    private static RegisteredNode NodeOf(int i, int gpus) => new(
        new NodeKey(Id(i)), string.Create(CultureInfo.InvariantCulture, $"node-{i:D5}"), 1, true, null,
        new Dictionary<string, string> { ["pool"] = Pools[i % Pools.Length] }, new HashSet<string> { "imagenet" },
        [.. Enumerable.Range(0, gpus).Select(g => new RegisteredDevice($"cuda:{g}", DeviceClass.Cuda, 80 * Gib))]);

    private static Guid Id(int number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}
