using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Queues;

public sealed class QueueOrderTests
{
    private static readonly QueueKey A = new("a");
    private static readonly QueueKey B = new("b");

    private static readonly RegisteredNode Node = ANode("node", free: 8).Node;

    [Fact]
    public void Decide_BeyondQuotas_SharesByWeight() =>
        Starts([Queue(A, weight: 3), Queue(B, weight: 1)], Jobs(A, 8), Jobs(B, 8)).ShouldBe((6, 2));

    [Fact]
    public void Decide_AQueueWithinItsQuota_ComesFirst() =>
        Starts([Queue(A, nominal: 6), Queue(B)], Jobs(A, 8), Jobs(B, 8)).ShouldBe((7, 1));

    /// <summary>Of all that is left one queue has used more than its share for long: the other one gets it now.</summary>
    [Fact]
    public void Decide_PastUseThatOthersWaitedFor_Counts()
    {
        ClusterChange used = new ClusterChange.QueueUsed(A, new PastUse(Now, new DeviceCounts(4, 0), default));

        Starts([Queue(A), Queue(B), used], Jobs(A, 8), Jobs(B, 8)).ShouldBe((2, 6));
    }

    [Fact]
    public void Decide_PastUse_CountsLessTheOlderItIs()
    {
        ClusterChange used = new ClusterChange.QueueUsed(A, new PastUse(Now - (4 * Policy.HalfLife), new DeviceCounts(4, 0), default));

        Starts([Queue(A), Queue(B), used], Jobs(A, 8), Jobs(B, 8)).ShouldBe((4, 4));
    }

    /// <summary>Nobody pays for what nobody else wanted.</summary>
    [Fact]
    public void Decide_UseBeyondAQuota_IsRecordedWhileOthersWait_AndNotElse()
    {
        ClusterChange.JobGranted running = new(
            new JobKey(Guid.NewGuid()), default, [.. Node.Devices.Select(device => new GrantedDevice(Node.Id, device.Id))])
        {
            Facts = new RunningFacts(A, "", 0, Now) { Preemptible = false },
        };
        var state = StateOf([Queue(A, nominal: 2), Queue(B), running]);

        state.Decide(Now, Policy).Uses.ShouldBeEmpty();
        state.Apply(new ClusterChange.JobQueued(AJob(1) with { Queue = B }));
        var use = state.Decide(Now, Policy).Uses.ShouldHaveSingleItem();

        use.ShouldBe(new ClusterChange.QueueUsed(A, new PastUse(Now, default, new DeviceCounts(6, 0))));
        state.Apply(use);
        state.Decide(Now, Policy).Uses.ShouldBeEmpty("what has not changed is not told again");
        use.Use.At(Now + Policy.HalfLife, Policy.HalfLife).Cpu.ShouldBe(3, 1e-9);
    }

    [Fact]
    public void Decide_AQueueAtItsLimit_SaysSo_AndAnOwnerAtItsOwn()
    {
        var limited = Queue(A, nominal: 2, borrowing: 1);
        var owners = new ClusterChange.QueueChanged(new QueueSpec(B)
        {
            OwnerLimits = ImmutableDictionary<DeviceClass, int>.Empty.Add(DeviceClass.Cpu, 1),
        });
        var state = StateOf([limited, owners, .. Jobs(A, 4), .. Jobs(B, 2)]);

        var plan = state.Decide(Now, Policy);

        plan.Waiting.Single(w => w.Queue == A).Reason.ShouldBe(new WaitReason(
            WaitCause.WaitingForQuota, "needs 1 cpu device, but queue 'a' has 3 of the 3 that it may have"));
        plan.Waiting.Single(w => w.Queue == B).Reason.ShouldBe(new WaitReason(
            WaitCause.WaitingForOwnerLimit, "needs 1 cpu device, but ada has 1 of the 1 that one owner may have in queue 'b'"));
    }

    [Fact]
    public void Decide_WhatAQueueDoesNotLend_StaysFree() =>
        Starts([Queue(A, nominal: 5, lending: 2), Queue(B)], [], Jobs(B, 8)).ShouldBe((0, 5));

    [Fact]
    public void Decide_AQuotaOfAParent_IsSharedByItsChildren()
    {
        var (child, other) = (new QueueKey("child"), new QueueKey("other"));
        ClusterChange[] queues = [Queue(A, nominal: 4, borrowing: 0), Queue(child, parent: A), Queue(other, parent: A)];
        var state = StateOf([.. queues, .. Jobs(child, 8), .. Jobs(other, 8)]);

        var plan = state.Decide(Now, Policy);

        plan.Starts.Length.ShouldBe(4);
        plan.Waiting.Select(w => w.Jobs).ShouldBe([6, 6]);
    }

    [Fact]
    public void Check_NamesSettingValueAndRemedy()
    {
        QueueSpec[] queues =
        [
            Queue(A, nominal: 2).Queue, Queue(B, nominal: 3, parent: A).Queue with { Weight = 0 },
            new QueueSpec(new QueueKey("c"), new QueueKey("d")),
        ];

        QueueSpec.Check(queues).ShouldBe(
        [
            "the Cpu quota of queue 'a' is 2 but those of its children come to 3; raise it or lower theirs",
            "weight of queue 'b' is 0; give it a number above 0",
            "parent of queue 'c' is 'd', which is not declared; declare it, or leave parent out",
        ]);
    }

    private static (int OfA, int OfB) Starts(
        ClusterChange[] queues, IReadOnlyList<ClusterChange> first, IReadOnlyList<ClusterChange> second)
    {
        var plan = StateOf([.. queues, .. first, .. second]).Decide(Now, Policy);
        return (Count(first), Count(second));

        int Count(IEnumerable<ClusterChange> jobs) =>
            jobs.OfType<ClusterChange.JobQueued>().Count(job => plan.Starts.Any(start => start.Job == job.Job.Id));
    }

    private static ClusterState StateOf(IEnumerable<ClusterChange> changes)
    {
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(Node));
        foreach (var change in changes)
            state.Apply(change);
        return state;
    }

    private static List<ClusterChange> Jobs(QueueKey queue, int count) =>
    [
        .. Enumerable.Range(0, count).Select(i => AJob(1, age: count - i) with { Queue = queue, Owner = "ada" })
            .Select(job => new ClusterChange.JobQueued(job)),
    ];

    private static ClusterChange.QueueChanged Queue(
        QueueKey key, double weight = 1, int? nominal = null, int? borrowing = null, int? lending = null, QueueKey? parent = null) =>
        new(new QueueSpec(key, parent)
        {
            Weight = weight,
            Quotas = nominal is { } quota
                ? ImmutableDictionary<DeviceClass, Quota>.Empty.Add(DeviceClass.Cpu, new Quota(quota, borrowing, lending))
                : ImmutableDictionary<DeviceClass, Quota>.Empty,
        });
}
