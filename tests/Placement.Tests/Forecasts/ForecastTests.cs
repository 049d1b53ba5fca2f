using Cluster.Placement.Forecasts;
using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Forecasts;

public sealed class ForecastTests
{
    private static readonly RegisteredNode Node = ANode("node", free: 4).Node;

    /// <summary>Three devices come free in ten minutes, the fourth in twenty.</summary>
    [Fact]
    public void Forecast_OfExactEnds_IsWhenEnoughJobsHaveEnded()
    {
        var (first, second) = (Running(0, 3, 10), Running(3, 1, 20));
        var (head, small) = (AJob(4, age: 2), AJob(3, age: 1));
        var state = StateOf(first, second, head, small);

        var jobs = Forecast(state, Policy).Jobs;

        jobs.Select(job => (job.Job, job.Position, job.Start)).ShouldBe(
            [(head.Id, 1, At(20)), (small.Id, 2, At(50))], "the head runs for half an hour");
        jobs[0].Sooner.ShouldBeEmpty("no one job's end is enough");
    }

    [Fact]
    public void Forecast_SaysWhatWouldLetAJobStartSooner()
    {
        var running = Running(0, 2, 10);
        var state = StateOf(running, AJob(4));

        Forecast(state, Policy).Jobs.Single().Sooner.ShouldBe(
            ["with 2 devices instead of 4", $"when job {running.Job} ends, about 00:10:00 UTC"]);
    }

    /// <summary>What is not known is not guessed, and called so.</summary>
    [Fact]
    public void Forecast_WithoutKnownEnds_OrWithoutWork_IsNotSettled()
    {
        var unknown = Running(0, 4, 10);
        var jobs = new[] { AJob(4) };

        Forecast(StateOf(unknown with { Facts = unknown.Facts! with { End = null } }, jobs), Policy).ShouldBe(new Forecast([], 1), Same);
        Forecast(StateOf(unknown, jobs), Policy with { ForecastWork = -1 }).ShouldBe(new Forecast([], 1), Same);
    }

    [Fact]
    public void Forecast_OfUncertainEnds_SaysHowLateItMayBe()
    {
        var running = Running(0, 4, 10);
        var uncertain = running with { Facts = running.Facts! with { End = new Estimate(Now.AddMinutes(10), Now.AddMinutes(40)) } };

        var start = Forecast(StateOf(uncertain, AJob(4)), Policy).Jobs.Single().Start;

        start.Likely.ShouldBeInRange(Now.AddMinutes(4), Now.AddMinutes(20));
        start.Late.ShouldBeInRange(Now.AddMinutes(20), Now.AddMinutes(120));
        Forecast(StateOf(uncertain, AJob(4)), Policy).Jobs.Single().Start.ShouldBe(start, "it is drawn from one seed");
    }

    private static readonly IEqualityComparer<Forecast> Same = EqualityComparer<Forecast>.Create(
        (x, y) => x!.NotSettled == y!.NotSettled && x.Jobs.SequenceEqual(y.Jobs));

    private static Forecast Forecast(ClusterState state, PlacementPolicy policy) => state.Forecast(state.Decide(Now, policy), Now, policy);

    private static Estimate At(int minutes) => new(Now.AddMinutes(minutes), Now.AddMinutes(minutes));

    private static ClusterState StateOf(params object[] all)
    {
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(Node));
        foreach (var each in all.SelectMany(each => each is WaitingJob[] jobs ? jobs : new[] { each }))
        {
            state.Apply(each as ClusterChange ?? new ClusterChange.JobQueued(
                (WaitingJob)each with { Runtime = new ExpectedRuntime(TimeSpan.FromMinutes(30), TimeSpan.FromMinutes(30)) }));
        }

        return state;
    }

    private static ClusterChange.JobGranted Running(int first, int devices, int minutes) => new(
        new JobKey(Guid.NewGuid()), default, [.. Enumerable.Range(first, devices).Select(i => new GrantedDevice(Node.Id, $"cpu:{i}"))])
    {
        Facts = new RunningFacts(QueueKey.Default, "", 0, Now) { End = At(minutes) },
    };
}
