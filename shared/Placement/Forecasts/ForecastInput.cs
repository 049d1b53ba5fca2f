using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Forecasts;

/// <summary>The cluster as a forecast sees it: devices are counted, by groups of equal nodes.</summary>
/// <remarks>
/// It is a copy, so that the state may change while the ways are played through. Counting leaves out limits of devices a node and the
/// memory of CPU ranks: a job that only these keep waiting is forecast too early.
/// </remarks>
internal sealed class ForecastInput
{
    // Of those that may be stopped, whoever loses least is: so few lose less than what is reckoned with.
    private const double LeastLosses = 0.1;

    private readonly CycleInput _state;
    private readonly Dictionary<(NodeGroup Group, DeviceClass Kind), int> _pools = [];
    private readonly Dictionary<string, (DeviceClass Kind, int[] Pools)> _admitted = [];
    private readonly Dictionary<QueueNode, QueueFacts> _queues = [];
    private readonly Dictionary<string, int[]> _same = [];
    private readonly PlacementPolicy _policy;

    public ForecastInput(
        CycleInput state, PlacementPlan plan, CycleTerms terms, Arrivals? arrivals, Endings? endings, Calibration? calibration)
    {
        (_state, Now, _policy, Endings) = (state, terms.Time, terms.Policy, endings?.SoFar());
        Levels = calibration?.SoFar() ?? CalibratedLevels.None;
        foreach (var group in state.Nodes.Groups)
        {
            foreach (var kind in Enum.GetValues<DeviceClass>())
                _pools.Add((group, kind), _pools.Count);
        }

        Free = new long[_pools.Count];
        foreach (var ((group, kind), pool) in _pools)
            Free[pool] = group.Left(kind);
        var started = plan.Starts.ToDictionary(start => start.Job);
        var stopped = plan.Preemptions.Select(preempted => preempted.Job).ToHashSet();
        Promised = plan.Reservations.Where(r => r.At <= Now + _policy.Grace).ToDictionary(r => r.Job, r => r.At);
        Runs = [.. state.Running.Jobs.Where(job => job.Facts is not null).Select(job => RunOf(job, job.Facts!, stopped.Contains(job.Id)))];
        var waiting = state.Waiting.Jobs.ToList();
        foreach (var job in waiting.Where(job => started.ContainsKey(job.Id)))
        {
            var devices = started[job.Id].Ranks.Select(rank => new GrantedDevice(rank.Node, rank.Device)).ToList();
            var pools = Pools(devices);
            foreach (var (pool, count) in pools)
                Free[pool] -= count;
            Runs.Add(new Run(job.Id, LineOf(job), WaitOf(job), pools, job.RuntimeWith(devices.Count)) { IsNew = true });
        }

        Lines = [.. waiting.Where(job => !started.ContainsKey(job.Id)).GroupBy(LineOf)
            .OrderBy(line => line.Key.Name, StringComparer.Ordinal)
            .Select(line => new Line(line.Key, [.. line.Order(QueueOrder.Instance).Select(job => WaitOf(job) with { IsAsked = true })]))];
        Patience = _policy.Grace + Shorter(LossPerDevice(), _policy.Patience);
        Coming = [.. (arrivals?.Jobs ?? []).Select(job => (LineOf(job), WaitOf(job)))];
        ComingASecond = arrivals?.Rate(Now) ?? 0;
    }

    public DateTimeOffset Now { get; }

    /// <summary>How jobs end early; null: they do not.</summary>
    public EarlyEnds? Endings { get; }

    /// <summary>What of the ways is said.</summary>
    public CalibratedLevels Levels { get; }

    /// <summary>How many steps a way may take.</summary>
    public int Work => _policy.ForecastWork;

    /// <summary>Devices that are free now, by pool.</summary>
    public long[] Free { get; }

    public List<Run> Runs { get; }

    public IReadOnlyList<Line> Lines { get; }

    /// <summary>Starts that the plan promises within the grace period.</summary>
    public Dictionary<JobKey, DateTimeOffset> Promised { get; }

    /// <summary>For so long a job waits for devices to come free by themselves that could have others stopped.</summary>
    public TimeSpan Patience { get; }

    public TimeSpan Grace => _policy.Grace;

    /// <summary>After it, past use counts half.</summary>
    public TimeSpan HalfLife => _policy.HalfLife;

    public double PastUseWeight => _policy.PastUseWeight;

    /// <summary>Jobs like those that are going to be submitted, one as probable as the other.</summary>
    public IReadOnlyList<(QueueFacts Line, Wait Wait)> Coming { get; }

    public double ComingASecond { get; }

    private QueueFacts LineOf(WaitingJob job) => FactsOf(_state.Queues.LineOf(job.Queue));

    private QueueFacts FactsOf(QueueNode queue)
    {
        if (!_queues.TryGetValue(queue, out var facts))
            _queues.Add(queue, facts = new QueueFacts(queue, _state.Nodes, Now, _policy));
        return facts;
    }

    private Wait WaitOf(WaitingJob job)
    {
        var (kind, pools) = Admitted(job.Need);
        return new Wait(job.Id, job.Need.Fewest, kind, job.Priority, job.Age, job.RuntimeWith(job.Need.Fewest), pools);
    }

    /// <summary>The kind of which it would have most: that it might get another one first is left out.</summary>
    private (DeviceClass Kind, int[] Pools) Admitted(DeviceNeed need)
    {
        var shape = need.Shape();
        if (_admitted.TryGetValue(shape, out var admitted))
            return admitted;
        var groups = _state.Nodes.Groups.Where(group => group.Profile.Admits(need)
            && (need.Excluded.Count == 0 || group.Nodes.Any(node => !need.Excluded.Contains(node.Id)))).ToList();
        var kinds = need.Kinds.Select(kind => (kind, groups
            .Where(group => group.Profile.Count(kind, need.Memory.On(kind)) > 0).Select(group => _pools[(group, kind)]).ToArray()));
        admitted = kinds.FirstOrDefault(each => each.Item2.Length > 0, (need.Kinds[0], []));
        admitted.Pools = TheOne(admitted.Pools);
        _admitted.Add(shape, admitted);
        return admitted;
    }

    /// <summary>Of jobs that could use the same devices the same array, by which that is seen at once.</summary>
    private int[] TheOne(int[] pools)
    {
        var words = string.Join(',', pools);
        if (_same.TryGetValue(words, out var same))
            return same;
        _same.Add(words, pools);
        return pools;
    }

    private Run RunOf(RunningJob job, RunningFacts facts, bool isStopped)
    {
        var left = facts.End is { } end ? Left(end.Likely, end.Late) : null;
        var anew = left is null ? null : new ExpectedRuntime(left.Likely + facts.Restarting, left.Late + facts.Restarting);
        var need = facts.Need ?? new DeviceNeed(
            job.Devices.Length, job.Kind, 0, ImmutableDictionary<string, string>.Empty, "", job.Memory);
        // It goes on later, from where it was; it was submitted before those that wait.
        var again = new Wait(job.Id, need.Fewest, job.Kind, facts.Priority, DateTimeOffset.MinValue, anew, Admitted(need).Pools);
        var run = new Run(job.Id, FactsOf(job.Queue), again, Pools(job.FreeThen), left)
        {
            IsNever = !facts.Preemptible,
            Ran = Now - facts.StartedAt,
        };
        if (facts.Release is { } release)
            return run with { Left = Left(release.By, release.By), IsStopped = release.Devices.Length == job.Devices.Length };
        return isStopped ? run with { Left = new(_policy.Grace, _policy.Grace), IsStopped = true } : run;
    }

    private ExpectedRuntime Left(DateTimeOffset likely, DateTimeOffset late)
    {
        var left = AtLeast(likely - Now, _policy.Overdue);
        return new ExpectedRuntime(left, AtLeast(late - Now, left));
    }

    private TimeSpan LossPerDevice()
    {
        var losses = _state.Running.Jobs.Where(job => job.MayBeStopped(Now)).Select(job => Now - job.Facts!.LostSince).Order().ToList();
        return losses.Count == 0 ? TimeSpan.Zero : AtLeast(losses[(int)(losses.Count * LeastLosses)], TimeSpan.Zero);
    }

    private List<(int Pool, int Count)> Pools(IEnumerable<GrantedDevice> devices) =>
        [.. devices.Select(device => (Node: _state.Nodes.Find(device.Node), device.Kind)).Where(each => each.Node?.Usable == true)
            .CountBy(each => _pools[(each.Node!.Group, each.Kind)]).Select(same => (same.Key, same.Value))];

    private static TimeSpan AtLeast(TimeSpan x, TimeSpan least) => x > least ? x : least;

    private static TimeSpan Shorter(TimeSpan x, TimeSpan y) => x < y ? x : y;
}

/// <summary>A running job.</summary>
/// <param name="Again">As what it waits if it is stopped.</param>
/// <param name="Left">How long it goes on; null: not known.</param>
internal sealed record Run(JobKey Job, QueueFacts Queue, Wait Again, List<(int Pool, int Count)> Pools, ExpectedRuntime? Left)
{
    /// <summary>Its devices are not counted yet.</summary>
    public bool IsNew { get; init; }

    /// <summary>It is on its way out, and comes again.</summary>
    public bool IsStopped { get; init; }

    /// <summary>It is never stopped.</summary>
    public bool IsNever { get; init; }

    /// <summary>How long it has gone on.</summary>
    public TimeSpan Ran { get; init; }
}

/// <param name="Pools">Whose devices it could use.</param>
internal sealed record Wait(
    JobKey Job, int Devices, DeviceClass Kind, int Priority, DateTimeOffset Age, ExpectedRuntime? Runtime, int[] Pools)
{
    /// <summary>Whether it is asked when it starts.</summary>
    public bool IsAsked { get; init; }

    /// <summary>How long it runs is settled in this way; else it is still to be drawn.</summary>
    public bool IsDrawn { get; init; }
}

internal sealed record Line(QueueFacts Queue, Wait[] Jobs);

/// <summary>A queue when the forecast begins; what there is of each kind of device is told by the kind's number.</summary>
internal sealed class QueueFacts(QueueNode queue, NodeIndex nodes, DateTimeOffset now, PlacementPolicy policy)
{
    public static ImmutableArray<DeviceClass> Kinds { get; } = [.. Enum.GetValues<DeviceClass>()];

    public string Name { get; } = queue.Key.Name;

    public double Weight { get; } = queue.Weight;

    public ImmutableArray<long> Used { get; } = [.. Kinds.Select(queue.Used)];

    public ImmutableArray<long> Nominal { get; } = [.. Kinds.Select(queue.Nominal)];

    public ImmutableArray<long> Ceilings { get; } = [.. Kinds.Select(kind => queue.Ceiling(kind) ?? long.MaxValue)];

    /// <summary>Devices of which it has had the use, as they count beside those that it uses.</summary>
    public ImmutableArray<double> Past { get; } =
        [.. Kinds.Select(kind => policy.PastUseWeight * queue.Past.At(now, policy.HalfLife)[kind])];

    /// <summary>Devices that the cluster has.</summary>
    public ImmutableArray<long> Registered { get; } = [.. Kinds.Select(kind => (long)nodes.Registered(kind))];
}
