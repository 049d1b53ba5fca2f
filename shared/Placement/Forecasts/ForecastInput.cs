using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Forecasts;

/// <summary>The cluster as a forecast sees it: devices are counted, by groups of equal nodes.</summary>
/// <remarks>
/// That leaves out limits of devices a node and the memory of CPU ranks: a job that only these keep waiting is forecast too early.
/// </remarks>
internal sealed class ForecastInput
{
    private readonly Dictionary<(NodeGroup Group, DeviceClass Kind), int> _pools = [];

    public ForecastInput(CycleInput input, PlacementPlan plan, DateTimeOffset now, PlacementPolicy policy)
    {
        foreach (var group in input.Nodes.Groups)
        {
            foreach (var kind in Enum.GetValues<DeviceClass>())
                _pools.Add((group, kind), _pools.Count);
        }

        Free = new long[_pools.Count];
        foreach (var ((group, kind), pool) in _pools)
            Free[pool] = group.Left(kind);
        var started = plan.Starts.ToDictionary(start => start.Job);
        Promised = plan.Reservations.Where(r => r.At <= now + policy.Grace).ToDictionary(r => r.Job, r => r.At);
        Runs = [.. input.Running.Jobs.Where(job => job.FreeAt is not null).Select(job => RunOf(job, input.Nodes, now, policy))];
        var waiting = input.Waiting.Jobs.ToList();
        foreach (var job in waiting.Where(job => started.ContainsKey(job.Id)))
        {
            var devices = started[job.Id].Ranks.Select(rank => new GrantedDevice(rank.Node, rank.Device)).ToList();
            var pools = Pools(devices, input.Nodes);
            foreach (var (pool, count) in pools)
                Free[pool] -= count;
            if (job.RuntimeWith(devices.Count) is { } runtime)
                Runs.Add(new Run(job.Id, input.Waiting.BucketOf(job).Line, pools, runtime.Likely, runtime.Late));
        }

        Lines = [.. waiting.Where(job => !started.ContainsKey(job.Id)).GroupBy(job => input.Waiting.BucketOf(job).Line)
            .OrderBy(line => line.Key.Key.Name, StringComparer.Ordinal)
            .Select(line => new Line(line.Key, [.. line.Order(QueueOrder.Instance).Select(job => WaitOf(job, input))]))];
        Capacity = input.Nodes.Registered;
    }

    /// <summary>Devices that are free now, by pool.</summary>
    public long[] Free { get; }

    public List<Run> Runs { get; }

    public IReadOnlyList<Line> Lines { get; }

    /// <summary>Starts that the plan promises within the grace period.</summary>
    public Dictionary<JobKey, DateTimeOffset> Promised { get; }

    public Func<DeviceClass, long> Capacity { get; }

    private Wait WaitOf(WaitingJob job, CycleInput input)
    {
        var need = job.Need;
        var kinds = need.Kinds.Select(kind => input.Waiting.BucketOf(job).Shape.Admitted(input.Nodes.Groups, input.Nodes.GroupsVersion)
            .Where(group => group.Profile.Count(kind, need.Memory.On(kind)) > 0)
            .Where(group => need.Excluded.Count == 0 || group.Nodes.Any(node => !need.Excluded.Contains(node.Id)))
            .Select(group => _pools[(group, kind)]).ToArray());
        // The kind of which there is most: that it might get another one first is left out.
        return new Wait(job, [.. kinds.Where(pools => pools.Length > 0).Take(1).SelectMany(pools => pools)]);
    }

    private Run RunOf(RunningJob job, NodeIndex nodes, DateTimeOffset now, PlacementPolicy policy)
    {
        var (likely, late) = job.Facts!.Release is { } release ? (release.By, release.By) : (job.Facts.End!.Likely, job.Facts.End.Late);
        var left = likely > now ? likely - now : policy.Overdue;
        return new Run(job.Id, job.Queue, Pools(job.FreeThen, nodes), left, late - now > left ? late - now : left);
    }

    private List<(int Pool, int Count)> Pools(IEnumerable<GrantedDevice> devices, NodeIndex nodes) =>
        [.. devices.Select(device => (Node: nodes.Find(device.Node), device.Kind)).Where(each => each.Node?.Usable == true)
            .CountBy(each => _pools[(each.Node!.Group, each.Kind)]).Select(same => (same.Key, same.Value))];
}

/// <summary>A running job: how long it goes on.</summary>
internal sealed record Run(JobKey Job, QueueNode Queue, List<(int Pool, int Count)> Pools, TimeSpan Likely, TimeSpan Late);

/// <param name="Pools">Whose devices it could use.</param>
internal sealed record Wait(WaitingJob Job, int[] Pools);

internal sealed record Line(QueueNode Queue, Wait[] Jobs);
