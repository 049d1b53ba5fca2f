using System.Collections.Immutable;
using Cluster.Placement;
using Cluster.Placement.Forecasts;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Bench.Placement;

/// <summary>A cluster under a virtual clock, in which plans are carried out as a scheduler would.</summary>
/// <remarks>A job that is told to release devices works on until its grace period is over, and writes no checkpoint more.</remarks>
internal sealed class VirtualCluster(PlacementPolicy policy, Func<VirtualCluster, PlacementPlan> decide)
{
    private static readonly TimeSpan Backoff = TimeSpan.FromSeconds(30);

    // Each says whether there is anything to decide after it.
    private readonly PriorityQueue<Func<bool>, (DateTimeOffset At, long Number)> _events = new();
    private readonly Dictionary<JobKey, Life> _lives = [];
    private long _number;

    public VirtualCluster(PlacementPolicy policy)
        : this(policy, cluster => cluster.State.Decide(cluster.Now, policy))
    {
    }

    public ClusterState State { get; } = new();

    public Arrivals Arrivals { get; } = new(DateTimeOffset.UnixEpoch);

    public Endings Endings { get; } = new();

    public PlacementPolicy Policy => policy;

    public DateTimeOffset Now { get; private set; } = DateTimeOffset.UnixEpoch;

    public IReadOnlyDictionary<JobKey, Life> Lives => _lives;

    /// <summary>How many devices jobs hold.</summary>
    public int Held { get; private set; }

    public IEnumerable<Life> Running => _lives.Values.Where(life => life.Devices.Length > 0);

    /// <summary>Whether a checkpoint is told of; newest-first preemption looks at none.</summary>
    public bool TellsCheckpoints { get; init; } = true;

    /// <summary>Whether it is told how long jobs run and when they are expected to end.</summary>
    public bool TellsEnds { get; init; } = true;

    /// <summary>Whether it is told of failures before they happen: an oracle, to be compared with.</summary>
    public bool TellsFailures { get; init; }

    /// <summary>Called with each plan before it is carried out.</summary>
    public Action<PlacementPlan>? Observe { get; set; }

    /// <summary>Called when a job is over.</summary>
    public Action<Life>? Over { get; set; }

    public void Add(RegisteredNode node) => State.Apply(new ClusterChange.NodeChanged(node));

    public void Declare(QueueSpec queue) => State.Apply(new ClusterChange.QueueChanged(queue));

    public void Submit(VirtualJob job, DateTimeOffset at) => At(at, () =>
    {
        var life = new Life(job, at) { Left = job.Work };
        _lives.Add(job.Terms.Id, life);
        Queue(life.Waiting);
    });

    /// <summary>Has something happen, and a cycle after it.</summary>
    public void At(DateTimeOffset at, Action happens) => At(at, () =>
    {
        happens();
        return true;
    });

    /// <summary>Has something happen, and a cycle after it if it says that there is anything to decide.</summary>
    public void At(DateTimeOffset at, Func<bool> happens) => _events.Enqueue(happens, (at, _number++));

    /// <summary>All that happens next at one moment, and the cycle after it.</summary>
    /// <returns>The plan, carried out; null when nothing happens any more.</returns>
    public PlacementPlan? Step()
    {
        for (var isQuiet = true; isQuiet;)
        {
            if (!_events.TryPeek(out _, out var next))
                return null;
            Now = next.At;
            while (_events.TryPeek(out var happens, out var at) && at.At == Now)
            {
                _events.Dequeue();
                isQuiet &= !happens();
            }
        }

        var plan = decide(this);
        Observe?.Invoke(plan);
        CarryOut(plan);
        return plan;
    }

    private void CarryOut(PlacementPlan plan)
    {
        foreach (var start in plan.Starts)
            Start(_lives[start.Job], [.. start.Ranks.Select(DeviceOf)]);
        foreach (var preempted in plan.Preemptions)
            Release(_lives[preempted.Job], preempted.Devices, preempted.For);
        foreach (var resize in plan.Resizes)
        {
            if (resize.For is { } other)
                Release(_lives[resize.Job], [.. _lives[resize.Job].Devices.Except(resize.Keeps)], other);
            else
                Resize(_lives[resize.Job], [.. resize.Keeps, .. resize.Gains.Select(DeviceOf)]);
        }

        foreach (var use in plan.Uses)
            State.Apply(use);
    }

    private void Start(Life life, ImmutableArray<GrantedDevice> devices)
    {
        life.FirstStart ??= Now;
        life.Starts++;
        life.LastStart = Now;
        life.ResizedAt = null;
        Run(life, devices);
    }

    private void Resize(Life life, ImmutableArray<GrantedDevice> devices)
    {
        Stop(life);
        life.ResizedAt = Now;
        Run(life, devices);
    }

    /// <summary>From its newest checkpoint.</summary>
    private void Run(Life life, ImmutableArray<GrantedDevice> devices)
    {
        var job = life.Job;
        life.Devices = devices;
        Held += devices.Length;
        life.Release = null;
        life.CommittedAt = null;
        life.Begun = life.Safe > TimeSpan.Zero || life.Starts > 1 || life.ResizedAt is not null ? Now + job.Restarting : Now;
        life.LostDeviceTime += (life.Begun - Now) * devices.Length;
        var (attempt, left) = (++life.Attempt, life.Left - life.Safe);
        life.Ends = life.Begun + (left / devices.Length);
        var failsIn = job.FailsAt is { } share && !life.HasFailed ? (job.Work * share) - life.Safe : left;
        var fails = failsIn < left && failsIn >= TimeSpan.Zero;
        life.Fails = fails ? life.Begun + (failsIn / devices.Length) : null;
        At(life.Fails ?? life.Ends, () => If(life, attempt, () =>
        {
            if (fails)
                Fail(life);
            else
                End(life);
        }));
        if (job.CheckpointEvery > TimeSpan.Zero)
            CommitAt(life.Begun + job.CheckpointEvery, life, attempt);
        Tell(life);
    }

    private void Commit(Life life, long attempt)
    {
        life.CommittedAt = Now;
        Tell(life);
        CommitAt(Now + life.Job.CheckpointEvery, life, attempt);
    }

    /// <summary>A checkpoint alone is no reason to decide anything.</summary>
    private void CommitAt(DateTimeOffset at, Life life, long attempt) =>
        At(at, () =>
        {
            If(life, attempt, () => Commit(life, attempt));
            return false;
        });

    private void Release(Life life, ImmutableArray<GrantedDevice> devices, JobKey other)
    {
        var (attempt, all) = (life.Attempt, devices.Length == life.Devices.Length);
        life.Release = new Release(devices, Now + policy.Grace, other);
        life.Yields++;
        Tell(life);
        At(life.Release.By, () => If(life, attempt, () =>
        {
            life.YieldedTo = life.YieldedTo.Add(other);
            if (all)
            {
                Stop(life);
                Queue(life.Waiting);
            }
            else
            {
                Resize(life, [.. life.Devices.Except(devices)]);
            }
        }));
    }

    private void Fail(Life life)
    {
        var own = life.Devices;
        life.HasFailed = true;
        if (!life.Job.Restarts)
        {
            End(life);
            return;
        }

        Stop(life);
        Queue(life.Waiting with { Own = own, NotBefore = Now + Backoff });
        At(Now + Backoff, () => { });
    }

    private void End(Life life)
    {
        life.Used += (Now - life.LastRun) * life.Devices.Length;
        Held -= life.Devices.Length;
        life.Devices = [];
        life.Attempt++;
        life.EndedAt = Now;
        Tell(new ClusterChange.JobEnded(life.Job.Terms.Id));
        Over?.Invoke(life);
    }

    /// <summary>What it has done since its newest checkpoint is lost.</summary>
    private void Stop(Life life)
    {
        var safe = life.CommittedAt is { } committed ? (committed - life.Begun) * life.Devices.Length : TimeSpan.Zero;
        var done = Now > life.Begun ? (Now - life.Begun) * life.Devices.Length : TimeSpan.Zero;
        life.LostDeviceTime += done - safe;
        life.Used += (Now - life.LastRun) * life.Devices.Length;
        life.Safe += safe;
        Held -= life.Devices.Length;
        life.Devices = [];
        life.Attempt++;
    }

    private void Queue(WaitingJob job) => Tell(new ClusterChange.JobQueued(TellsEnds ? job : job with { Runtime = null }));

    private void Tell(ClusterChange change)
    {
        Arrivals.Apply(change);
        Endings.Apply(change, State, Now);
        State.Apply(change);
    }

    private void Tell(Life life)
    {
        var (job, terms) = (life.Job, life.Job.Terms);
        if (life.CommittedAt is null && life.Release is null)
            life.LastRun = Now;
        var left = (TellsFailures && !job.Restarts && life.Fails is { } fails ? fails : life.Ends) - Now;
        var likely = Now + (left * job.EndError);
        Tell(new ClusterChange.JobGranted(terms.Id, terms.Need.Memory, life.Devices)
        {
            Facts = new RunningFacts(terms.Queue, terms.Owner, terms.Priority, life.LastStart)
            {
                Need = terms.Need,
                CommittedAt = TellsCheckpoints ? life.CommittedAt : null,
                Restarting = job.Restarting,
                MinRuntime = job.MinRuntime,
                Preemptible = job.Preemptible,
                End = TellsEnds ? new Estimate(likely, Now + (left * job.EndError * job.LateFactor)) : null,
                ResizedAt = life.ResizedAt,
                Release = life.Release,
            },
        });
    }

    private static void If(Life life, long attempt, Action happens)
    {
        if (life.Attempt == attempt)
            happens();
    }

    private static GrantedDevice DeviceOf(PlannedRank rank) => new(rank.Node, rank.Device);
}

/// <summary>What has become of a job.</summary>
internal sealed class Life(VirtualJob job, DateTimeOffset submitted)
{
    public VirtualJob Job => job;

    public DateTimeOffset Submitted => submitted;

    public DateTimeOffset? FirstStart { get; set; }

    public DateTimeOffset LastStart { get; set; }

    public DateTimeOffset? EndedAt { get; set; }

    public int Starts { get; set; }

    /// <summary>How often it was preempted or shrunk.</summary>
    public int Yields { get; set; }

    public ImmutableArray<GrantedDevice> Devices { get; set; } = [];

    public Release? Release { get; set; }

    public ImmutableHashSet<JobKey> YieldedTo { get; set; } = [];

    /// <summary>Work of it that was done in vain, and restarting.</summary>
    public TimeSpan LostDeviceTime { get; set; }

    public TimeSpan Used { get; set; }

    /// <summary>All of its work.</summary>
    public TimeSpan Left { get; set; }

    /// <summary>Of that, what is in checkpoints of attempts before this one.</summary>
    public TimeSpan Safe { get; set; }

    /// <summary>When this attempt began to work, with these devices.</summary>
    public DateTimeOffset Begun { get; set; }

    public DateTimeOffset LastRun { get; set; }

    public DateTimeOffset Ends { get; set; }

    /// <summary>Null: not in this attempt.</summary>
    public DateTimeOffset? Fails { get; set; }

    public DateTimeOffset? CommittedAt { get; set; }

    public DateTimeOffset? ResizedAt { get; set; }

    public bool HasFailed { get; set; }

    public long Attempt { get; set; }

    public TimeSpan Wait => (FirstStart ?? DateTimeOffset.MaxValue) - submitted;

    public WaitingJob Waiting => job.Terms with { YieldedTo = YieldedTo };
}
