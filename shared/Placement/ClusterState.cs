using Cluster.Placement.Forecasts;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement;

/// <summary>Who waits, who runs and what is free, kept up to date by what changes.</summary>
/// <remarks>Not safe for use by several threads.</remarks>
public sealed class ClusterState
{
    private readonly NodeIndex _nodes = new();
    private readonly RunningIndex _running = new();
    private readonly QueueTree _queues = new();
    private readonly WaitingIndex _waiting;

    public ClusterState() => _waiting = new WaitingIndex(_queues);

    private CycleInput Input => new(_nodes, _waiting, _running, _queues);

    /// <summary>How many jobs wait.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Takes note of a change. Costs what has changed, however large the cluster and the queue.</summary>
    public void Apply(ClusterChange change)
    {
        switch (change)
        {
            case ClusterChange.JobQueued queued:
                Release(queued.Job.Id);
                _waiting.Put(queued.Job);
                break;
            case ClusterChange.JobGranted granted:
                _waiting.Remove(granted.Job);
                Grant(granted);
                break;
            case ClusterChange.JobEnded ended:
                _waiting.Remove(ended.Job);
                Release(ended.Job);
                break;
            case ClusterChange.NodeChanged changed:
                _nodes.Put(changed.Node);
                break;
            case ClusterChange.NodeRemoved removed:
                _nodes.Remove(removed.Node);
                break;
            case ClusterChange.QueueChanged changed:
                if (!_queues.Contains(changed.Queue))
                    Regroup(() => _queues.Put(changed.Queue));
                break;
            case ClusterChange.QueueRemoved removed:
                Regroup(() => _queues.Remove(removed.Queue));
                break;
            case ClusterChange.QueueUsed used:
                _queues.Use(used.Queue, used.Use);
                break;
            default:
                throw new ArgumentException($"{change.GetType().Name} is no change that placement knows", nameof(change));
        }
    }

    /// <summary>With whom a job waits: its queue, and its <see cref="DeviceNeed.Shape"/>. Null if it does not wait.</summary>
    public (QueueKey Queue, string Shape)? ShapeOf(JobKey job) => _waiting.ShapeOf(job);

    /// <summary>What is known of a job that holds devices; null if nothing is.</summary>
    public RunningFacts? FactsOf(JobKey job) => _running.Find(job)?.Facts;

    /// <summary>
    /// Decides who starts where, and why the others wait. Pure: the same state and time give the same plan, and the state stays as it is.
    /// </summary>
    /// <remarks>
    /// Looks at jobs until the first of each queue and shape that does not fit, and at nodes that have devices left: so it costs what
    /// starts, times what is free, and not what waits. What it looks at of running jobs is bounded by the policy.
    /// </remarks>
    public PlacementPlan Decide(DateTimeOffset now, PlacementPolicy policy) =>
        PlacementCycle.Run(Input, new CycleTerms(now, policy));

    /// <summary>
    /// Takes what is needed to reckon when those start that the plan leaves waiting, and what would let them start sooner. Pure, too.
    /// </summary>
    /// <remarks>Unlike a decision it costs what waits and runs: so it is not for every cycle.</remarks>
    /// <param name="arrivals">Jobs that come are reckoned to be like these; null: that none come.</param>
    /// <param name="endings">Jobs are reckoned to end as these have; null: that none end early.</param>
    /// <param name="calibration">How earlier forecasts came true; null: that is not known.</param>
    public PendingForecast PrepareForecast(
        PlacementPlan plan, DateTimeOffset now, PlacementPolicy policy, Arrivals? arrivals = null, Endings? endings = null,
        Calibration? calibration = null) =>
        new(new ForecastInput(Input, plan, new CycleTerms(now, policy), arrivals, endings, calibration));

    /// <summary>All that decisions depend on, in words: two states of the same words decide alike.</summary>
    internal string Describe() => $"{_nodes.Describe()}\n{_queues.Describe()}\n{_waiting.Describe()}\n{_running.Describe()}";

    private void Grant(ClusterChange.JobGranted granted)
    {
        // Only what is known of it has changed, which happens often.
        if (_running.Find(granted.Job)?.HoldsTheSame(granted) != true)
        {
            _nodes.Release(granted.Job);
            _nodes.Grant(granted);
        }

        _running.Put(new RunningJob(granted, LineOf(granted)));
    }

    private void Release(JobKey job)
    {
        _nodes.Release(job);
        _running.Remove(job);
    }

    private QueueNode LineOf(ClusterChange.JobGranted granted) => _queues.LineOf(granted.Facts?.Queue ?? QueueKey.Default);

    private void Regroup(Action change)
    {
        var (waiting, running) = (_waiting.Jobs.ToList(), _running.Jobs.ToList());
        _running.Clear();
        waiting.ForEach(job => _waiting.Remove(job.Id));
        change();
        waiting.ForEach(_waiting.Put);
        foreach (var job in running)
            _running.Put(new RunningJob(job.Granted, LineOf(job.Granted)));
    }
}
