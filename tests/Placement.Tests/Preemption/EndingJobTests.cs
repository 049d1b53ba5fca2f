using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Preemption;

/// <summary>A job that ends within the grace period frees its devices by itself, and once only.</summary>
public sealed class EndingJobTests
{
    [Fact]
    public void Decide_AVictimThatIsAboutToEnd_IsNotCountedTwice()
    {
        var node = ANode("node", free: 3).Node;
        var soon = new Estimate(Now.AddSeconds(5), Now.AddSeconds(5));
        var ending = new RunningFacts(QueueKey.Default, "", 0, Now.AddHours(-1)) { End = soon };
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(node));
        state.Apply(Holds("cpu:0") with { Facts = ending });
        state.Apply(Holds("cpu:1"));
        state.Apply(new ClusterChange.JobQueued(AJob(3, priority: 1)));

        var plan = state.Decide(Now, Policy);

        plan.Preemptions.ShouldBeEmpty();
        plan.Reservations.ShouldBeEmpty("one device is in use for as long as anybody knows");

        ClusterChange.JobGranted Holds(string device) => new(new JobKey(Guid.NewGuid()), default, [new GrantedDevice(node.Id, device)]);
    }
}
