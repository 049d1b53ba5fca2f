using System.Collections.Immutable;
using Cluster.Placement.Forecasts;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;
using static Cluster.Placement.Tests.ClusterBuilder;

namespace Cluster.Placement.Tests.Forecasts;

public sealed class ForecastTests
{
    private static readonly QueueKey A = new("a");
    private static readonly QueueKey B = new("b");
    private static readonly QueueKey C = new("c");
    private static readonly ExpectedRuntime Half = new(TimeSpan.FromMinutes(30), TimeSpan.FromMinutes(30));

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

    /// <summary>Who is stopped comes again, before those that were submitted after it, and does the rest.</summary>
    [Fact]
    public void Forecast_AJobThatIsStopped_ComesAgain()
    {
        var (urgent, behind) = (AJob(4, priority: 1, age: 1), AJob(4, age: 2));
        var running = Running(0, 4, 20);
        var stopped = running with
        {
            Facts = running.Facts! with { Release = new Release(running.Devices, Now.AddMinutes(1), urgent.Id) },
        };

        var jobs = Forecast(StateOf(stopped, urgent, behind), Policy).Jobs;

        jobs.Select(job => (job.Job, job.Start)).ShouldBe(
            [(urgent.Id, At(1)), (behind.Id, At(51))], "30 minutes, and the 20 that are left");
    }

    /// <summary>What is claimed by the head of one queue, no other one takes for longer than until then.</summary>
    [Fact]
    public void Forecast_AHeadThatWaitsForMore_IsNotPassedByOtherQueues()
    {
        var (first, second) = (Running(0, 3, 10), Running(3, 1, 20));
        var (head, other) = (AJob(4, age: 2) with { Queue = A }, AJob(3, age: 1) with { Queue = B });

        var jobs = Forecast(StateOf(Queue(A), Queue(B), first, second, head, other), Policy).Jobs;

        jobs.Select(job => (job.Job, job.Start)).ShouldBe([(head.Id, At(20)), (other.Id, At(50))]);
    }

    /// <summary>A job that the cluster can never run is in nobody's way, whichever queue it is the head of.</summary>
    [Fact]
    public void Forecast_AHeadThatNeverFits_ClaimsNothing()
    {
        var (first, second) = (Running(0, 3, 10), Running(3, 1, 20));
        var (never, head, other) =
            (AJob(9, age: 3) with { Queue = A }, AJob(4, age: 2) with { Queue = B }, AJob(3, age: 1) with { Queue = C });

        var jobs = Forecast(StateOf(Queue(A), Queue(B), Queue(C), first, second, never, head, other), Policy).Jobs;

        jobs.Select(job => (job.Job, job.Start)).ShouldBe([(head.Id, At(20)), (other.Id, At(50))]);
    }

    [Fact]
    public void Forecast_AQueueThatHasHadMuch_ComesLater()
    {
        var (older, younger) = (AJob(4, age: 2) with { Queue = A }, AJob(4, age: 1) with { Queue = B });
        var used = new ClusterChange.QueueUsed(A, new PastUse(Now, new DeviceCounts(4, 0), default));

        var jobs = Forecast(StateOf(Queue(A), Queue(B), used, Running(0, 4, 10), older, younger), Policy).Jobs;

        jobs.Select(job => (job.Job, job.Start)).ShouldBe([(younger.Id, At(10)), (older.Id, At(40))]);
    }

    /// <summary>Once its queue's own job has ended it is owed what others have borrowed, and they are stopped for it.</summary>
    [Fact]
    public void Forecast_AJobThatIsOwedDevicesLater_DoesNotWaitUntilOthersEnd()
    {
        var (own, borrowed) = (Running(0, 2, 10) with { Facts = Facts(A, 10) }, Running(2, 2, 600) with { Facts = Facts(B, 600) });

        var jobs = Forecast(StateOf(Queue(A, 4), Queue(B), own, borrowed, AJob(4) with { Queue = A }), Policy).Jobs;

        jobs.Single().Start.Likely.ShouldBe(Now.AddMinutes(10) + Policy.Grace);
    }

    /// <summary>Jobs of a higher priority come so often that one comes before it in one case of ten at least.</summary>
    [Fact]
    public void Forecast_ReckonsWithJobsLikeThoseThatCameLately()
    {
        var state = StateOf(Running(0, 4, 10), AJob(4, age: 5));
        var (arrivals, short5) = (new Arrivals(Now.AddHours(-2)), new ExpectedRuntime(TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(5)));
        for (var i = 0; i < 8; i++)
            arrivals.Apply(new ClusterChange.JobQueued(AJob(4, priority: 1, age: 60 * i) with { Runtime = short5 }));

        var start = state.PrepareForecast(state.Decide(Now, Policy), Now, Policy, arrivals).Run().Jobs.Single().Start;

        Forecast(state, Policy).Jobs.Single().Start.ShouldBe(At(10), "without them");
        start.Likely.ShouldBeGreaterThanOrEqualTo(Now.AddMinutes(10));
        start.Late.ShouldBeGreaterThanOrEqualTo(Now.AddMinutes(15));
    }

    [Fact]
    public void Forecast_ReckonsWithJobsThatEndEarly()
    {
        var (running, next) = (Running(0, 4, 10), AJob(4));
        var state = StateOf(running, next, AJob(4, age: -1));
        var endings = new Endings();
        // All that ended lately had half of their time.
        endings.Apply(new ClusterChange.JobEnded(running.Job), state, Now.AddMinutes(5));

        var jobs = state.PrepareForecast(state.Decide(Now, Policy), Now, Policy, endings: endings).Run().Jobs;

        jobs.Select(job => job.Start).ShouldBe([At(5), At(20)], "15 of the next one's 30 minutes");
    }

    /// <summary>Two queues that have had nothing yet: who has the devices comes later for it, though it is the older one.</summary>
    [Fact]
    public void Forecast_UseThatOthersWaitFor_CountsLaterInTheSameWay()
    {
        var (a1, a2) = (AJob(4, age: 3) with { Queue = A }, AJob(4, age: 2) with { Queue = A });
        var b = AJob(4, age: 1) with { Queue = B };

        var jobs = Forecast(StateOf(Queue(A), Queue(B), Running(0, 4, 10), a1, a2, b), Policy).Jobs;

        jobs.Select(job => (job.Job, job.Start)).ShouldBe([(a1.Id, At(10)), (b.Id, At(40)), (a2.Id, At(70))]);
    }

    /// <summary>A day of work is settled with few steps: what happens shortly one after the other, for how far off it is, is one.</summary>
    [Fact]
    public void Forecast_OfALongLine_IsSettledWithFewSteps()
    {
        var jobs = Enumerable.Range(0, 200).Select(i => AJob(1, age: 200 - i)).ToArray();

        var forecast = Forecast(StateOf(Running(0, 1, 1), Running(1, 1, 2), Running(2, 1, 3), Running(3, 1, 4), jobs), Policy with
        {
            ForecastWork = 1_000,
        });

        forecast.NotSettled.ShouldBe(0);
        forecast.Jobs[^1].Start.Likely.ShouldBe(Now.AddMinutes(49 * 30), TimeSpan.FromMinutes(15));
    }

    private static readonly IEqualityComparer<Forecast> Same = EqualityComparer<Forecast>.Create(
        (x, y) => x!.NotSettled == y!.NotSettled && x.Jobs.SequenceEqual(y.Jobs));

    /// <summary>Between the two the state goes on, which the forecast does not see.</summary>
    [Fact]
    public void Forecast_IsOfTheStateAsItWas()
    {
        var (running, waiting) = (Running(0, 4, 10), AJob(4) with { Queue = A });
        var (state, endings, arrivals) = (StateOf(Queue(A), running, waiting), new Endings(), new Arrivals(Now.AddHours(-2)));
        var pending = state.PrepareForecast(state.Decide(Now, Policy), Now, Policy, arrivals, endings);
        var before = pending.Run();

        endings.Apply(new ClusterChange.JobEnded(running.Job), state, Now.AddMinutes(1));
        for (var i = 0; i < 100; i++)
            arrivals.Apply(new ClusterChange.JobQueued(AJob(4, priority: 1, age: i)));
        foreach (ClusterChange change in (ClusterChange[])[
            new ClusterChange.JobEnded(running.Job), new ClusterChange.QueueChanged(new QueueSpec(A) { Weight = 7 }),
            new ClusterChange.JobQueued(AJob(1, priority: 9) with { Queue = A })])
        {
            state.Apply(change);
        }

        var (then, now) = (pending.Run().Jobs.Single(), before.Jobs.Single());
        then.ShouldBe(now with { Sooner = then.Sooner, Ways = then.Ways });
        (then.Sooner.SequenceEqual(now.Sooner), then.Ways.SequenceEqual(now.Ways)).ShouldBe((true, true));
        now.Start.ShouldBe(At(10));
    }

    [Fact]
    public void Forecast_IsSetRightByHowEarlierOnesCameTrue()
    {
        var running = Running(0, 4, 10);
        var uncertain = running with { Facts = running.Facts! with { End = new Estimate(Now.AddMinutes(10), Now.AddMinutes(40)) } };
        var (state, calibration) = (StateOf(uncertain, AJob(4)), new Calibration());
        var plan = state.Decide(Now, Policy);
        var before = state.PrepareForecast(plan, Now, Policy).Run().Jobs.Single();
        for (var i = 0; i < 60; i++)
            calibration.Note(before, before.Ways[2].AddSeconds(-20));

        var after = state.PrepareForecast(plan, Now, Policy, calibration: calibration).Run().Jobs.Single();

        before.Start.ShouldBe(new Estimate(before.Ways[10], before.Ways[18]));
        after.Ways.ShouldBe(before.Ways);
        after.Start.ShouldBe(new Estimate(before.Ways[1], before.Ways[1]));
    }

    private static Forecast Forecast(ClusterState state, PlacementPolicy policy) =>
        state.PrepareForecast(state.Decide(Now, policy), Now, policy).Run();

    private static Estimate At(int minutes) => new(Now.AddMinutes(minutes), Now.AddMinutes(minutes));

    private static ClusterState StateOf(params object[] all)
    {
        var state = new ClusterState();
        state.Apply(new ClusterChange.NodeChanged(Node));
        foreach (var each in all.SelectMany(each => each is WaitingJob[] jobs ? jobs : new[] { each }))
        {
            state.Apply(each as ClusterChange ?? new ClusterChange.JobQueued((WaitingJob)each with { Runtime = Half }));
        }

        return state;
    }

    private static ClusterChange.QueueChanged Queue(QueueKey key, int nominal = 0) => new(new QueueSpec(key)
    {
        Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(DeviceClass.Cpu, new Quota(nominal)),
    });

    private static RunningFacts Facts(QueueKey queue, int minutes) => new(queue, "", 0, Now) { End = At(minutes) };

    private static ClusterChange.JobGranted Running(int first, int devices, int minutes) => new(
        new JobKey(Guid.NewGuid()), default, [.. Enumerable.Range(first, devices).Select(i => new GrantedDevice(Node.Id, $"cpu:{i}"))])
    {
        Facts = Facts(QueueKey.Default, minutes),
    };
}
