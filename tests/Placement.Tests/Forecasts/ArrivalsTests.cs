using Cluster.Placement.Forecasts;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Forecasts;

public sealed class ArrivalsTests
{
    [Fact]
    public void Rate_CountsEachJobOnce_AndNoneFromBefore()
    {
        var arrivals = new Arrivals(Now.AddHours(-2));
        var job = AJob(1, age: 3600);
        foreach (var queued in new[] { job, AJob(2, age: 60), job, AJob(1, age: 3 * 3600) })
            arrivals.Apply(new ClusterChange.JobQueued(queued));
        arrivals.Apply(new ClusterChange.JobEnded(job.Id));
        arrivals.Apply(new ClusterChange.JobQueued(job));

        arrivals.Jobs.Count.ShouldBe(2);
        arrivals.Rate(Now).ShouldBe(2 / 7200.0);
    }

    /// <summary>An array of jobs that is the first to come does not promise as many every second.</summary>
    [Fact]
    public void Rate_OfTheFirstJobs_IsThatOfAnHourAtLeast()
    {
        var arrivals = new Arrivals(Now);
        for (var i = 0; i < 10; i++)
            arrivals.Apply(new ClusterChange.JobQueued(AJob(1)));

        arrivals.Rate(Now.AddSeconds(1)).ShouldBe(10 / 3600.0);
    }

    [Fact]
    public void Rate_IsThatOfTheLastThousand()
    {
        var arrivals = new Arrivals(Now.AddYears(-1));
        for (var age = 1999; age >= 0; age--)
            arrivals.Apply(new ClusterChange.JobQueued(AJob(1, age: 10 * age)));

        arrivals.Jobs.Count.ShouldBe(2000, "what they are like is known of more");
        arrivals.Rate(Now).ShouldBe(1000 / 9990.0);
    }
}
