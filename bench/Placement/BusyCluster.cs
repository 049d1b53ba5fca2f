using System.Diagnostics;
using System.Globalization;
using Cluster.Placement;

namespace Cluster.Bench.Placement;

/// <summary>A large cluster of GPUs that is full, with a long queue before it.</summary>
internal sealed class BusyCluster
{
    private const long Gib = 1L << 30;
    private const int ArrivalsPerCycle = 8;
    private const int CyclesToWarmUp = 20;

    private static readonly PlacementPolicy Policy = new(TimeSpan.FromMinutes(10));
    private static readonly int[] Sizes = [1, 1, 1, 1, 2, 2, 4, 8, 8, 16, 64];
    private static readonly string[] Pools = ["a", "b", "c", "d"];

    private readonly ClusterState _state = new();
    private readonly Random _random = new(2012);
    private readonly List<JobKey> _running = [];
    private DateTimeOffset _now = DateTimeOffset.UnixEpoch;
    private int _jobs;

    public BusyCluster(int nodes, int gpusPerNode, int waiting)
    {
        for (var i = 0; i < nodes; i++)
        {
            var node = NodeOf(i, gpusPerNode);
            _state.Apply(new ClusterChange.NodeChanged(node));
            // All but a few devices are in use, by jobs of a node each.
            var job = new JobKey(Id(++_jobs));
            var held = node.Devices.Take(i % 100 == 0 ? gpusPerNode - 1 : gpusPerNode);
            _state.Apply(new ClusterChange.JobGranted(job, default, [.. held.Select(device => new GrantedDevice(node.Id, device.Id))]));
            _running.Add(job);
        }

        for (var i = 0; i < waiting; i++)
            _state.Apply(new ClusterChange.JobQueued(NextJob()));
        Cycles(CyclesToWarmUp);
    }

    /// <summary>How many jobs have started since the cluster was filled.</summary>
    public int Started { get; private set; }

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
        ];
        _running[ended] = _running[^1];
        _running.RemoveAt(_running.Count - 1);

        var watch = Stopwatch.StartNew();
        changes.ForEach(_state.Apply);
        var plan = _state.Decide(_now, Policy);
        foreach (var start in plan.Starts)
            _state.Apply(start.Granted(default));
        watch.Stop();
        _running.AddRange(plan.Starts.Select(start => start.Job));
        Started += plan.Starts.Length;
        return watch.Elapsed;
    }

    private WaitingJob NextJob()
    {
        _now += TimeSpan.FromMilliseconds(1);
        var labels = new Dictionary<string, string> { ["pool"] = Pools[_random.Next(Pools.Length)] };
        var memory = new RankMemory(0, (1 + _random.Next(4)) * 10 * Gib);
        var need = new DeviceNeed(Sizes[_random.Next(Sizes.Length)], DeviceClass.Cuda, 0, labels, "imagenet", memory);
        var queue = new QueueKey(string.Create(CultureInfo.InvariantCulture, $"queue-{_random.Next(10)}"));
        return new WaitingJob(new JobKey(Id(++_jobs)), queue, need, _random.Next(3), _now, null, new HashSet<NodeKey>());
    }

    private static RegisteredNode NodeOf(int i, int gpus) => new(
        new NodeKey(Id(i)), string.Create(CultureInfo.InvariantCulture, $"node-{i:D5}"), 1, true, null,
        new Dictionary<string, string> { ["pool"] = Pools[i % Pools.Length] }, new HashSet<string> { "imagenet" },
        [.. Enumerable.Range(0, gpus).Select(g => new RegisteredDevice($"cuda:{g}", DeviceClass.Cuda, 80 * Gib))]);

    private static Guid Id(int number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}
