using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Cluster.Placement;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Bench.Placement;

/// <summary>A workload from its first arrival to its last end: jobs arrive and end at virtual times, decisions take real time.</summary>
internal sealed class Simulation
{
    private const string Rack = "rack";

    // As Kueue: who is stopped gets no time, and nobody waits for others to end instead.
    private static readonly PlacementPolicy Policy = new(TimeSpan.FromMinutes(10)) { Grace = TimeSpan.Zero, Patience = TimeSpan.Zero };

    private readonly KueueWorkload _workload;
    private readonly ClusterState _state = new();
    private readonly PriorityQueue<Due, long> _events = new();
    private readonly Dictionary<JobKey, SentJob> _jobs = [];
    private readonly Stopwatch _deciding = new();

    private Simulation(KueueWorkload workload)
    {
        _workload = workload;
        for (var i = 0; i < workload.Nodes; i++)
            _state.Apply(new ClusterChange.NodeChanged(NodeOf(i, workload)));
        if (workload.Cohorts > 0)
            Declare();
        for (var queue = 0; queue < workload.Queues; queue++)
        {
            foreach (var kind in workload.Classes)
                Send(QueueOf(queue), kind, workload.Racks);
        }
    }

    /// <summary>Once to warm up, once to be measured.</summary>
    public static SimulationResult Run(KueueWorkload workload)
    {
        new Simulation(workload).Run();
        return new Simulation(workload).Run();
    }

    private SimulationResult Run()
    {
        var (cycles, preemptions, lastMs) = (0, 0, 0L);
        while (_events.TryPeek(out _, out var ms))
        {
            var (due, now) = (TakeDue(ms), DateTimeOffset.UnixEpoch.AddMilliseconds(ms));
            _deciding.Start();
            foreach (var change in due)
                _state.Apply(change);
            var plan = _state.Decide(now, Policy);
            foreach (var start in plan.Starts)
                _state.Apply(start.Granted(default, FactsOf(_jobs[start.Job].Terms, now)));
            foreach (var use in plan.Uses)
                _state.Apply(use);
            _deciding.Stop();

            foreach (var start in plan.Starts)
            {
                var job = _jobs[start.Job];
                _events.Enqueue(new Due(new ClusterChange.JobEnded(start.Job), job, ++job.Attempt), ms + job.RuntimeMs);
            }

            // Their devices are free in the next cycle, which comes at once.
            foreach (var preempted in plan.Preemptions)
            {
                var job = _jobs[preempted.Job];
                job.Terms = job.Terms with { YieldedTo = job.Terms.YieldedTo.Add(preempted.For) };
                _events.Enqueue(new Due(new ClusterChange.JobQueued(job.Terms), job, ++job.Attempt), ms);
            }

            (cycles, preemptions, lastMs) = (cycles + 1, preemptions + plan.Preemptions.Length, ms);
        }

        if (_jobs.Values.Count(job => job.Attempt == 0) is var never and > 0)
            throw new InvalidOperationException($"{never} jobs never started");
        return new SimulationResult(_jobs.Count, preemptions, cycles, _deciding.Elapsed.TotalSeconds, TimeSpan.FromMilliseconds(lastMs));
    }

    /// <summary>What was to become of an attempt that is over already does not.</summary>
    private List<ClusterChange> TakeDue(long ms)
    {
        var due = new List<ClusterChange>();
        while (_events.TryPeek(out var next, out var at) && at == ms)
        {
            _events.Dequeue();
            if (next.Job.Attempt == next.Attempt)
                due.Add(next.Change);
        }

        return due;
    }

    /// <summary>Queues of a cohort have what is nobody's of their cohort's quotas, and none of another's.</summary>
    private void Declare()
    {
        var queues = _workload.Queues / _workload.Cohorts;
        for (var cohort = 0; cohort < _workload.Cohorts; cohort++)
        {
            var key = new QueueKey(string.Create(CultureInfo.InvariantCulture, $"cohort-{cohort}"));
            Declare(new QueueSpec(key), queues * _workload.DevicesPerNode, borrowing: 0);
            for (var queue = 0; queue < queues; queue++)
                Declare(new QueueSpec(QueueOf((cohort * queues) + queue), key), _workload.DevicesPerNode, KueueWorkload.BorrowingLimit);
        }
    }

    private void Declare(QueueSpec queue, int quota, int borrowing) => _state.Apply(new ClusterChange.QueueChanged(queue with
    {
        Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(DeviceClass.Cpu, new Quota(quota, borrowing)),
    }));

    /// <summary>Without quotas nothing is told of those that run, and none is stopped.</summary>
    private RunningFacts? FactsOf(WaitingJob job, DateTimeOffset now) =>
        _workload.Cohorts == 0 ? null : new RunningFacts(job.Queue, job.Owner, job.Priority, now);

    private void Send(QueueKey queue, WorkloadClass kind, int racks)
    {
        for (var i = 0; i < kind.Count; i++)
        {
            var labels = new Dictionary<string, string>();
            if (kind.InOneRack)
                labels.Add(Rack, (i % racks).ToString(CultureInfo.InvariantCulture));
            var job = new WaitingJob(
                new JobKey(Id(_jobs.Count)), queue, new DeviceNeed(kind.Devices, DeviceClass.Cpu, kind.MaxPerNode, labels, "", default),
                kind.Priority, DateTimeOffset.UnixEpoch.AddMilliseconds((long)i * kind.EveryMs), null, new HashSet<NodeKey>());
            var sent = new SentJob(kind.RuntimeMs) { Terms = job };
            _jobs.Add(job.Id, sent);
            _events.Enqueue(new Due(new ClusterChange.JobQueued(job), sent, 0), (long)i * kind.EveryMs);
        }
    }

    private static QueueKey QueueOf(int queue) => new(string.Create(CultureInfo.InvariantCulture, $"queue-{queue}"));

    private static RegisteredNode NodeOf(int i, KueueWorkload workload) => new(
        new NodeKey(Id(i)), string.Create(CultureInfo.InvariantCulture, $"node-{i:D5}"), 1, true, null,
        new Dictionary<string, string> { [Rack] = (i % workload.Racks).ToString(CultureInfo.InvariantCulture) }, new HashSet<string>(),
        [.. Enumerable.Range(0, workload.DevicesPerNode).Select(d => new RegisteredDevice($"cpu:{d}", DeviceClass.Cpu, 0))]);

    private static Guid Id(int number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

    private sealed class SentJob(int runtimeMs)
    {
        public int RuntimeMs => runtimeMs;

        public required WaitingJob Terms { get; set; }

        /// <summary>Counts its starts and stops.</summary>
        public int Attempt { get; set; }
    }

    private readonly record struct Due(ClusterChange Change, SentJob Job, int Attempt);
}

/// <param name="Preemptions">How often one was stopped for another.</param>
/// <param name="Seconds">Of applying and deciding.</param>
/// <param name="Virtual">From the first arrival to the last end.</param>
internal sealed record SimulationResult(int Admitted, int Preemptions, int Cycles, double Seconds, TimeSpan Virtual);
