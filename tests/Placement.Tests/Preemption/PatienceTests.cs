using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Preemption;

/// <summary>Nobody is stopped where that loses more work than it saves in waiting.</summary>
public sealed class PatienceTests
{
    private static readonly QueueKey Lender = new("lender");
    private static readonly QueueKey Owed = new("owed");
    private static readonly RegisteredNode Node = ANode("node", free: 2).Node;

    /// <summary>What loses least loses ten minutes; to wait for it takes two.</summary>
    [Fact]
    public void Decide_WhereAJobEndsBeforeStoppingPays_WaitsForIt()
    {
        var (ending, other) = (Running(0, committed: 10, ends: 2), Running(1, committed: 20, ends: 120));

        var (plan, job) = Decide(Policy, ending, other);

        plan.Preemptions.ShouldBeEmpty();
        var promised = plan.Reservations.ShouldHaveSingleItem();
        (promised.Job, promised.At).ShouldBe((job.Id, Now.AddMinutes(2)));
        plan.Waiting.Single().Reason.Cause.ShouldBe(WaitCause.WaitingForRelease);
    }

    /// <summary>Stopping loses a minute of work, and saves one and a half of waiting.</summary>
    [Fact]
    public void Decide_WhereStoppingLosesLess_StopsWhoLosesLeast()
    {
        var (ending, other) = (Running(0, committed: 10, ends: 2), Running(1, committed: 1, ends: 120));

        var (plan, _) = Decide(Policy, ending, other);

        plan.Preemptions.ShouldHaveSingleItem().Job.ShouldBe(other.Job);
    }

    [Theory]
    [InlineData(7, 5, 1)]
    [InlineData(7, 10, 0)]
    [InlineData(2, 0, 1)]
    public void Decide_WaitsNoLongerThanItsPatience(int ends, int patience, int stopped)
    {
        var (ending, other) = (Running(0, committed: 30, ends), Running(1, committed: 40, ends: 120));

        var (plan, _) = Decide(Policy with { Patience = TimeSpan.FromMinutes(patience) }, ending, other);

        plan.Preemptions.Length.ShouldBe(stopped);
        plan.Reservations.ShouldHaveSingleItem().At.ShouldBe(stopped > 0 ? Now + Policy.Grace : Now.AddMinutes(ends));
    }

    /// <summary>Who should have ended already may go on for long.</summary>
    [Fact]
    public void Decide_DoesNotWaitForAJobThatIsOverdue()
    {
        var (overdue, other) = (Running(0, committed: 10, ends: -1), Running(1, committed: 20, ends: 120));

        var (plan, _) = Decide(Policy, overdue, other);

        plan.Preemptions.ShouldHaveSingleItem().Job.ShouldBe(overdue.Job);
    }

    private static (PlacementPlan Plan, WaitingJob Job) Decide(PlacementPolicy policy, params ClusterChange.JobGranted[] running)
    {
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(Node));
        state.Apply(new ClusterChange.QueueChanged(new QueueSpec(Lender)));
        state.Apply(new ClusterChange.QueueChanged(new QueueSpec(Owed)
        {
            Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(DeviceClass.Cpu, new Quota(1)),
        }));
        foreach (var granted in running)
            state.Apply(granted);
        var job = AJob(1) with { Queue = Owed };
        state.Apply(new ClusterChange.JobQueued(job));
        return (state.Decide(Now, policy), job);
    }

    /// <param name="committed">So many minutes ago.</param>
    /// <param name="ends">In so many minutes.</param>
    private static ClusterChange.JobGranted Running(int device, int committed, int ends) => new(
        new JobKey(Guid.NewGuid()), default, [new GrantedDevice(Node.Id, $"cpu:{device}")])
    {
        Facts = new RunningFacts(Lender, "", 0, Now.AddHours(-2))
        {
            CommittedAt = Now.AddMinutes(-committed),
            End = new Estimate(Now.AddMinutes(ends), Now.AddMinutes(ends)),
        },
    };
}
