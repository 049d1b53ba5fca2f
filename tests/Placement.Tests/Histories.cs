using System.Collections.Immutable;
using System.Globalization;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;
using CsCheck;

namespace Cluster.Placement.Tests;

/// <summary>
/// Random lives of small clusters, in which the same few nodes and jobs come and go so often that they meet in every way.
/// </summary>
internal static class Histories
{
    private const int Nodes = 7;
    private const int Jobs = 14;

    private static readonly string[] Zones = ["east", "west"];
    private static readonly string[] Sets = ["fashion-mnist", "imagenet"];

    private static readonly Gen<IReadOnlyDictionary<string, string>> Labels = Gen.Int[0, 2].Select(
        IReadOnlyDictionary<string, string> (zone) => zone == 2 ? new Dictionary<string, string>() : new() { ["zone"] = Zones[zone] });

    private static readonly Gen<DeviceNeed> Needs = Gen.Select(
        Gen.Int[1, 9], Gen.Int[0, 2], Gen.Int[0, 4], Labels, Gen.Int[0, 2], Gen.Int[0, 6],
        (devices, kind, cap, labels, set, bytes) => new DeviceNeed(
            devices, kind == 2 ? null : (DeviceClass)kind, cap > 2 ? 0 : cap, labels, set == 2 ? "" : Sets[set],
            new RankMemory(bytes, Math.Max(0, bytes - 1))));

    private static readonly Gen<WaitingJob> Queued = Gen.Select(
        Gen.Int[0, Jobs - 1], Needs, Gen.Int[0, 2], Gen.Int[0, 20], Gen.Int[-2, 6], Gen.Int[-6, Nodes - 1], Gen.Int[0, 2],
        (job, need, priority, age, pause, avoid, queue) => new WaitingJob(
            JobOf(job), new QueueKey($"q{queue}"), need, priority, ClusterBuilder.Now.AddSeconds(-age), Pause(pause),
            avoid < 0 ? ImmutableHashSet<NodeKey>.Empty : [NodeOf(avoid)]));

    private static readonly Gen<RegisteredNode> Registered = Gen.Select(
        Gen.Int[0, Nodes - 1], Gen.Int[0, 4], Gen.Int[0, 3], Gen.Int[0, 18], Gen.Int[0, 5].Array[3], Labels, Gen.Int[0, 2], Gen.Int[0, 8],
        (node, cpus, gpus, cpuBytes, gpuBytes, labels, sets, state) => new RegisteredNode(
            NodeOf(node), $"node-{node % 5}", state, state > 2, state == 0 ? ClusterBuilder.Now - TimeSpan.FromMinutes(cpuBytes) : null,
            labels, (sets == 2 ? Sets : Sets[..1]).ToHashSet(),
            [
                .. Enumerable.Range(0, cpus).Select(i => new RegisteredDevice($"cpu:{i}", DeviceClass.Cpu, cpuBytes / cpus)),
                .. Enumerable.Range(0, gpus).Select(i => new RegisteredDevice($"cuda:{i}", DeviceClass.Cuda, gpuBytes[i])),
            ])
        {
            // A lost one too.
            Drained = state == 2 || (state == 0 && sets == 0),
        });

    // Devices that the node has not, or has no more, among them.
    private static readonly Gen<ClusterChange> Granted = Gen.Select(
        Gen.Int[0, Jobs - 1], Gen.Int[0, 5], Gen.Select(Gen.Int[0, Nodes - 1], Gen.Int[0, 4], Gen.Bool).Array[1, 3],
        ClusterChange (job, bytes, devices) => new ClusterChange.JobGranted(
            JobOf(job), new RankMemory(bytes, bytes),
            [.. devices.Select(d => new GrantedDevice(NodeOf(d.Item1), $"{(d.Item3 ? "cpu" : "cuda")}:{d.Item2}")).Distinct()]));

    private static readonly Gen<ClusterChange> Changes = Gen.Frequency(
        (8, Queued.Select(ClusterChange (job) => new ClusterChange.JobQueued(job))),
        (4, Registered.Select(ClusterChange (node) => new ClusterChange.NodeChanged(node))),
        (2, Granted),
        (2, Gen.Int[0, Jobs - 1].Select(ClusterChange (job) => new ClusterChange.JobEnded(JobOf(job)))),
        (1, Gen.Int[0, Nodes - 1].Select(ClusterChange (node) => new ClusterChange.NodeRemoved(NodeOf(node)))));

    private static readonly Gen<DateTimeOffset?> Times = Gen.Int[-5, 40].Select(
        DateTimeOffset? (minutes) => minutes < 0 ? null : ClusterBuilder.Now.AddMinutes(minutes - 20));

    private static readonly Gen<RunningFacts> Facts = Gen.Select(
        Gen.Int[0, 4], Gen.Int[0, 2], Needs, Times, Times, Gen.Int[0, 30], Gen.Int[0, 2],
        (queue, priority, need, committed, end, minutes, least) => new RunningFacts(
            new QueueKey($"q{queue}"), $"owner-{priority}", priority, ClusterBuilder.Now.AddMinutes(-minutes))
        {
            Need = least == 0 ? need with { MinDevices = 1 } : null,
            CommittedAt = committed,
            MinRuntime = TimeSpan.FromMinutes(least * 5),
            End = end is { } likely ? new Estimate(likely, likely.AddMinutes(least)) : null,
        });

    private static readonly Gen<ClusterChange> Queues = Gen.Select(
        Gen.Int[0, 3], Gen.Int[-2, 3], Gen.Int[1, 3], Gen.Int[-1, 8], Gen.Int[-3, 8], Gen.Int[-3, 8], Gen.Int[-3, 6],
        ClusterChange (queue, parent, weight, nominal, borrowing, lending, owner) => new ClusterChange.QueueChanged(
            new QueueSpec(new QueueKey($"q{queue}"), parent < 0 ? null : new QueueKey($"q{parent}"))
            {
                Weight = weight,
                Quotas = nominal < 0 ? ImmutableDictionary<DeviceClass, Quota>.Empty
                    : ImmutableDictionary<DeviceClass, Quota>.Empty.Add(
                        (DeviceClass)(weight % 2), new Quota(nominal, borrowing < 0 ? null : borrowing, lending < 0 ? null : lending)),
                OwnerLimits = owner < 0 ? ImmutableDictionary<DeviceClass, int>.Empty
                    : ImmutableDictionary<DeviceClass, int>.Empty.Add((DeviceClass)(weight % 2), owner),
            }));

    private static readonly Gen<ClusterChange> Known = Gen.Select(
        Granted, Facts, ClusterChange (granted, facts) => (ClusterChange.JobGranted)granted with { Facts = facts });

    // With a runtime, devices of its own, or a range of devices.
    private static readonly Gen<ClusterChange> Detailed = Gen.Select(
        Queued, Gen.Int[-1, 30], Gen.Int[0, 3], Granted, Gen.Int[0, 2],
        ClusterChange (job, minutes, least, own, owner) => new ClusterChange.JobQueued(job with
        {
            Need = job.Need with { MinDevices = Math.Min(least, job.Need.Devices) },
            Runtime = minutes < 0 ? null : new(TimeSpan.FromMinutes(minutes), TimeSpan.FromMinutes(minutes)),
            Own = job.NotBefore is null ? [] : ((ClusterChange.JobGranted)own).Devices,
            Owner = $"owner-{owner}",
        }));

    private static readonly Gen<ClusterChange> AllChanges = Gen.Frequency(
        (12, Changes), (6, Detailed), (6, Known), (3, Queues),
        (1, Gen.Int[0, 3].Select(ClusterChange (queue) => new ClusterChange.QueueRemoved(new QueueKey($"q{queue}")))),
        (1, Gen.Select(Gen.Int[0, 3], Gen.Int[0, 8], Gen.Int[0, 8], ClusterChange (queue, mean, rate) => new ClusterChange.QueueUsed(
            new QueueKey($"q{queue}"), new PastUse(ClusterBuilder.Now.AddHours(-mean), new(mean, 0), new(0, rate))))));

    /// <summary>The same with queues, and with what is known of running jobs.</summary>
    public static Gen<ClusterChange?[]> WithQueues { get; } = Gen.Frequency(
        (10, AllChanges.Select(ClusterChange? (change) => change)), (1, Gen.Const((ClusterChange?)null))).Array[0, 60];

    /// <summary>Changes; null: the plan of that moment is carried out.</summary>
    public static Gen<ClusterChange?[]> Any { get; } = Gen.Frequency(
        (10, Changes.Select(ClusterChange? (change) => change)), (1, Gen.Const((ClusterChange?)null))).Array[0, 60];

    /// <summary>Lives a history, and tells of the picture and the state after it.</summary>
    public static (ClusterPicture Picture, ClusterState State) Live(ClusterChange?[] history)
    {
        var (picture, state) = (new ClusterPicture(), new ClusterState());
        foreach (var change in history.SelectMany(change => change is null ? Starts(picture, state) : [change]))
        {
            if (picture.Write(change))
                state.Apply(change);
        }

        return (picture, state);
    }

    public static string Print(ClusterChange?[] history) =>
        string.Join('\n', history.Select(change => change?.ToString() ?? "the plan is carried out"));

    private static List<ClusterChange> Starts(ClusterPicture picture, ClusterState state) =>
    [
        .. state.Decide(ClusterBuilder.Now, ClusterBuilder.Policy).Starts
            .Select(start => start.Granted(picture.Waiting[start.Job].Need.Memory)),
    ];

    private static DateTimeOffset? Pause(int pause) => pause switch
    {
        -2 => ClusterBuilder.Now + ClusterBuilder.LongestHold + TimeSpan.FromSeconds(1),
        < 2 => ClusterBuilder.Now.AddSeconds(pause),
        _ => null,
    };

    private static NodeKey NodeOf(int node) => new(Id(1, node));

    private static JobKey JobOf(int job) => new(Id(2, job));

    private static Guid Id(int kind, int number) =>
        Guid.Parse(string.Create(CultureInfo.InvariantCulture, $"{kind:D8}-0000-0000-0000-{number:D12}"));
}
