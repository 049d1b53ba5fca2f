using System.Collections.Immutable;

namespace Cluster.Placement.Tests;

/// <summary>Clusters in a few words.</summary>
internal static class ClusterBuilder
{
    public static readonly TimeSpan LongestHold = TimeSpan.FromMinutes(10);
    public static readonly PlacementPolicy Policy = new(LongestHold);
    public static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private const string Other = "other";

    /// <summary>The busy devices have the lowest numbers, and between them the memory that is not free.</summary>
    public static Sketch ANode(
        string name, int free = 0, int busy = 0, DeviceClass kind = DeviceClass.Cpu, string[]? dataSets = null,
        Dictionary<string, string>? labels = null, long bytes = 0, long freeBytes = 0, DateTimeOffset? lostAt = null,
        bool drained = false)
    {
        // Of a GPU node each device has all of it; CPU devices share it, whichever brings it.
        RegisteredDevice Device(int i) => kind == DeviceClass.Cuda
            ? new RegisteredDevice($"cuda:{i}", kind, bytes) : new RegisteredDevice($"cpu:{i}", kind, i == 0 ? bytes : 0);
        return new Sketch(
            new RegisteredNode(
                new NodeKey(Guid.NewGuid()), name, 1, lostAt is null && !drained, lostAt, labels ?? [],
                (dataSets ?? ["fashion-mnist"]).ToHashSet(),
                [.. Enumerable.Range(0, free + busy).Select(Device)])
            {
                Drained = drained,
            },
            busy, kind == DeviceClass.Cuda || busy == 0 ? 0 : (bytes - freeBytes) / busy);
    }

    public static WaitingJob AJob(
        int devices, DeviceClass? kind = DeviceClass.Cpu, int maxPerNode = 0, int priority = 0, Dictionary<string, string>? labels = null,
        string dataSet = "fashion-mnist", DateTimeOffset? notBefore = null, NodeKey[]? avoid = null, int age = 0, long rankBytes = 0) =>
        new(new JobKey(Guid.NewGuid()), QueueKey.Default,
            new DeviceNeed(devices, kind, maxPerNode, labels ?? [], dataSet, new RankMemory(rankBytes, rankBytes)),
            priority, Now - TimeSpan.FromSeconds(age), notBefore, (avoid ?? []).ToHashSet());

    /// <summary>What becomes of the jobs, older ones first.</summary>
    public static IReadOnlyList<Decision> Decide(Sketch[] nodes, params WaitingJob[] jobs) => Decide(Policy, nodes, jobs);

    /// <inheritdoc cref="Decide(Sketch[], WaitingJob[])"/>
    public static IReadOnlyList<Decision> Decide(PlacementPolicy policy, Sketch[] nodes, params WaitingJob[] jobs)
    {
        var waiting = jobs.Select((job, i) => job with { Age = Now.AddSeconds(i - jobs.Length) }).ToList();
        var plan = StateOf(nodes, waiting).Decide(Now, policy);
        return waiting.ConvertAll(job => Of(job, plan));
    }

    public static ClusterState StateOf(IEnumerable<Sketch> nodes, IEnumerable<WaitingJob> jobs)
    {
        var state = new ClusterState();
        foreach (var (node, busy, busyBytes) in nodes)
        {
            state.Apply(new ClusterChange.NodeChanged(node));
            ImmutableArray<GrantedDevice> held = [.. node.Devices.Take(busy).Select(device => new GrantedDevice(node.Id, device.Id))];
            state.Apply(new ClusterChange.JobGranted(new JobKey(Guid.NewGuid()), new RankMemory(busyBytes, 0), held));
        }

        foreach (var job in jobs)
            state.Apply(new ClusterChange.JobQueued(job));
        return state;
    }

    public static string? Explain(DeviceNeed need, params Sketch[] nodes) =>
        Feasibility.Explain([need], nodes.Select(sketch => sketch.Node)).Single();

    private static Decision Of(WaitingJob job, PlacementPlan plan) =>
        plan.Starts.FirstOrDefault(start => start.Job == job.Id) is { } start
            ? new Decision(job.Id, [.. start.Ranks.Select(rank => $"{rank.NodeName}/{rank.Device}")], null)
            : new Decision(job.Id, null, plan.Waiting.SingleOrDefault(waiting => waiting.Shape == job.Need.Shape())?.Reason);
}

/// <param name="Busy">How many of the node's devices are granted.</param>
/// <param name="BusyBytes">What is taken of the node's memory on each of them.</param>
internal sealed record Sketch(RegisteredNode Node, int Busy, long BusyBytes)
{
    public NodeKey Id => Node.Id;
}

/// <param name="Devices">"node-a/cpu:0" of each rank; null when the job waits.</param>
/// <param name="Reason">Of its shape; null when nothing of that shape waits but what pauses.</param>
internal sealed record Decision(JobKey Job, string[]? Devices, WaitReason? Reason)
{
    public string Words => Reason.ShouldNotBeNull().Words;
}
