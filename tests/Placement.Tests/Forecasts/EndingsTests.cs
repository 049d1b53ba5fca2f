using Cluster.Placement.Forecasts;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Forecasts;

public sealed class EndingsTests
{
    private static readonly TimeSpan Expected = TimeSpan.FromMinutes(100);

    private readonly ClusterState _state = new();
    private readonly Endings _endings = new();

    [Fact]
    public void Draw_IsOneOfTheEarlyEnds_AsOftenAsTheyWere()
    {
        foreach (var part in new[] { 0.25, 0.5, 0.95, 1, 1.2 })
            Tell(Started().Ended, part);

        var drawn = Draws(behind: 0);

        drawn.Count(part => part is null).ShouldBeInRange(500, 700);
        drawn.Where(part => part is not null).Distinct().ShouldBe([0.25, 0.5], ignoreOrder: true);
    }

    /// <summary>One that has come so far did not end before.</summary>
    [Fact]
    public void Draw_OfOneThatHasMuchBehindIt_IsNoEndBeforeThat()
    {
        foreach (var part in new[] { 0.25, 0.5, 1 })
            Tell(Started().Ended, part);

        Draws(behind: 0.25).Distinct().ShouldBe([0.5, null], ignoreOrder: true);
        Draws(behind: 0.5).ShouldAllBe(part => part == null);
    }

    [Fact]
    public void Draw_WhereNoneHasEnded_IsNone() => Draws(behind: 0).ShouldAllBe(part => part == null);

    [Fact]
    public void OneThatIsStopped_HasEndedWhenItWasToldTo_UnlessItIsTriedAgain()
    {
        var (cancelled, failed) = (Started(), Started());
        foreach (var job in new[] { cancelled, failed })
            Tell(job.Granted with { Facts = job.Granted.Facts! with { Preemptible = false, End = new Estimate(Now, Now) } }, 0.5);
        Tell(cancelled.Ended, 0.6);
        Tell(new ClusterChange.JobQueued(AJob(1) with { Id = failed.Granted.Job }), 0.6);
        Tell(Started().Ended, 1);

        var drawn = Draws(behind: 0);
        drawn.Count(part => part is null).ShouldBeInRange(400, 600);
        drawn.Where(part => part is not null).ShouldAllBe(part => part == 0.5);
    }

    [Fact]
    public void OneThatIsPreempted_OrOfWhichNoEndIsKnown_SaysNothing()
    {
        var (preempted, unknown) = (Started(), Started());
        Tell(preempted.Granted with
        {
            Facts = preempted.Granted.Facts! with { Release = new Release(preempted.Granted.Devices, Now, preempted.Granted.Job) },
        }, 0.3);
        Tell(unknown.Granted with { Facts = unknown.Granted.Facts! with { End = null } }, 0);
        Tell(preempted.Ended, 0.4);
        Tell(unknown.Ended, 0.4);

        Draws(behind: 0).ShouldAllBe(part => part == null);
    }

    private (ClusterChange.JobGranted Granted, ClusterChange.JobEnded Ended) Started()
    {
        var job = new JobKey(Guid.NewGuid());
        var granted = new ClusterChange.JobGranted(job, default, [])
        {
            Facts = new RunningFacts(QueueKey.Default, "", 0, Now) { End = new Estimate(Now + Expected, Now + Expected) },
        };
        Tell(granted, 0);
        return (granted, new ClusterChange.JobEnded(job));
    }

    /// <param name="part">Of the expected run it is over by then.</param>
    private void Tell(ClusterChange change, double part)
    {
        _endings.Apply(change, _state, Now + (part * Expected));
        _state.Apply(change);
    }

    private List<double?> Draws(double behind)
    {
        var chance = new Chance(1);
        return [.. Enumerable.Range(0, 1000).Select(_ => _endings.SoFar().Draw(chance, behind))];
    }
}
