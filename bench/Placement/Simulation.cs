using System.Diagnostics;
using System.Globalization;
using Cluster.Placement;

namespace Cluster.Bench.Placement;

/// <summary>A workload from its first arrival to its last end: jobs arrive and end at virtual times, decisions take real time.</summary>
internal sealed class Simulation
{
    private const string Rack = "rack";

    private static readonly PlacementPolicy Policy = new(TimeSpan.FromMinutes(10));

    private readonly ClusterState _state = new();
    private readonly PriorityQueue<ClusterChange, long> _events = new();
    private readonly Dictionary<JobKey, (WaitingJob Job, int RuntimeMs)> _jobs = [];
    private readonly Stopwatch _deciding = new();

    private Simulation(KueueWorkload workload)
    {
        for (var i = 0; i < workload.Nodes; i++)
            _state.Apply(new ClusterChange.NodeChanged(NodeOf(i, workload)));
        for (var queue = 0; queue < workload.Queues; queue++)
        {
            foreach (var kind in workload.Classes)
                Send(new QueueKey(string.Create(CultureInfo.InvariantCulture, $"queue-{queue}")), kind, workload.Racks);
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
        var (admitted, cycles, lastMs) = (0, 0, 0L);
        var due = new List<ClusterChange>();
        while (_events.TryPeek(out _, out var ms))
        {
            due.Clear();
            while (_events.TryPeek(out var next, out var at) && at == ms)
            {
                due.Add(next);
                _events.Dequeue();
            }

            _deciding.Start();
            foreach (var change in due)
                _state.Apply(change);
            var plan = _state.Decide(DateTimeOffset.UnixEpoch.AddMilliseconds(ms), Policy);
            foreach (var start in plan.Starts)
                _state.Apply(start.Granted(default));
            _deciding.Stop();

            foreach (var start in plan.Starts)
                _events.Enqueue(new ClusterChange.JobEnded(start.Job), ms + _jobs[start.Job].RuntimeMs);
            (admitted, cycles, lastMs) = (admitted + plan.Starts.Length, cycles + 1, ms);
        }

        if (admitted != _jobs.Count)
            throw new InvalidOperationException($"{_jobs.Count - admitted} jobs never started");
        return new SimulationResult(admitted, cycles, _deciding.Elapsed.TotalSeconds, TimeSpan.FromMilliseconds(lastMs));
    }

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
            _jobs.Add(job.Id, (job, kind.RuntimeMs));
            _events.Enqueue(new ClusterChange.JobQueued(job), (long)i * kind.EveryMs);
        }
    }

    private static RegisteredNode NodeOf(int i, KueueWorkload workload) => new(
        new NodeKey(Id(i)), string.Create(CultureInfo.InvariantCulture, $"node-{i:D5}"), 1, true, null,
        new Dictionary<string, string> { [Rack] = (i % workload.Racks).ToString(CultureInfo.InvariantCulture) }, new HashSet<string>(),
        [.. Enumerable.Range(0, workload.DevicesPerNode).Select(d => new RegisteredDevice($"cpu:{d}", DeviceClass.Cpu, 0))]);

    private static Guid Id(int number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

/// <param name="Seconds">Of applying and deciding.</param>
/// <param name="Virtual">From the first arrival to the last end.</param>
internal sealed record SimulationResult(int Admitted, int Cycles, double Seconds, TimeSpan Virtual);
