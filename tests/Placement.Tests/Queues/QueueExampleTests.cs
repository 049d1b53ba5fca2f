using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Tests.Queues;

/// <summary>The example in docs/queue.md, step by step.</summary>
public sealed class QueueExampleTests
{
    private static readonly DateTimeOffset Now = ClusterBuilder.Now;
    private static readonly QueueKey Research = new("research");
    private static readonly QueueKey Product = new("product");
    private static readonly RegisteredNode Node = ClusterBuilder.ANode("a", free: 8, kind: DeviceClass.Cuda).Node;

    [Fact]
    public void TheExample_GoesAsItIsTold()
    {
        var (large, left, right) = (Running(0, 4, 30), Running(4, 2, 5), Running(6, 2, 10));
        var job = ClusterBuilder.AJob(4, DeviceClass.Cuda) with { Queue = Product };
        var state = new ClusterState();
        ClusterChange[] changes =
        [
            new ClusterChange.NodeChanged(Node), Queue(Research), Queue(Product), large, left, right, new ClusterChange.JobQueued(job),
        ];
        foreach (var change in changes)
            state.Apply(change);

        var plan = state.Decide(Now, ClusterBuilder.Policy);

        plan.Preemptions.Select(p => (p.Job, p.For, p.LostDeviceSeconds / 60)).ShouldBe(
            [(left.Job, job.Id, 12.0), (right.Job, job.Id, 22.0)], ignoreOrder: true);
        plan.Preemptions.Single(p => p.Job == left.Job).Words.ShouldBe(
            $"preempted for job {job.Id}, whose queue is within its quota while this one is beyond its own: "
            + "12.0 device-minutes of work are lost at most");
        plan.Waiting.Single().Reason.ShouldBe(new WaitReason(
            WaitCause.WaitingForRelease, "waits until jobs have released the 4 devices that it is promised"));
        plan.Reservations.Single().Job.ShouldBe(job.Id);

        // Until they have released their GPUs, nobody more is stopped.
        foreach (var stopped in new[] { left, right })
        {
            var release = new Release(stopped.Devices, Now.AddSeconds(30), job.Id);
            state.Apply(stopped with { Facts = stopped.Facts! with { Release = release } });
        }

        var meanwhile = state.Decide(Now.AddSeconds(10), ClusterBuilder.Policy);
        meanwhile.Preemptions.ShouldBeEmpty();
        meanwhile.Reservations.Single().Job.ShouldBe(job.Id);

        foreach (var stopped in new[] { left, right })
        {
            state.Apply(new ClusterChange.JobQueued(ClusterBuilder.AJob(2, DeviceClass.Cuda) with
            {
                Id = stopped.Job,
                Queue = Research,
                YieldedTo = [job.Id],
            }));
        }

        var start = state.Decide(Now.AddSeconds(30), ClusterBuilder.Policy).Starts.ShouldHaveSingleItem();
        start.Job.ShouldBe(job.Id);
        state.Apply(start.Granted(default, new RunningFacts(Product, "", 0, Now.AddSeconds(30))));
        var after = state.Decide(Now.AddSeconds(60), ClusterBuilder.Policy);
        after.Starts.ShouldBeEmpty();
        after.Preemptions.ShouldBeEmpty();
    }

    private static ClusterChange.QueueChanged Queue(QueueKey key) => new(new QueueSpec(key)
    {
        Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(DeviceClass.Cuda, new Quota(4)),
    });

    private static ClusterChange.JobGranted Running(int first, int devices, int minutes) => new(
        new JobKey(Guid.NewGuid()), default,
        [.. Enumerable.Range(first, devices).Select(i => new GrantedDevice(Node.Id, $"cuda:{i}"))])
    {
        Facts = new RunningFacts(Research, "", 0, Now.AddHours(-1))
        {
            CommittedAt = Now.AddMinutes(-minutes),
            Restarting = TimeSpan.FromMinutes(1),
        },
    };
}
