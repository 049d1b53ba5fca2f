using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>What goes on until its job is final: watching, logs, metrics.</summary>
[Collection(typeof(ApiTests))]
public sealed class StreamTests(SharedScheduler shared)
{
    private TestScheduler Scheduler => shared.Scheduler;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Watch_SendsTheJobNow_ThenEachEvent_AndEndsAfterTheFinalOne_AndResumesWhereItBroke()
    {
        var job = await Scheduler.SubmitWaitingAsync();
        using var watch = Watch(job.Id, 0);
        var now = await NextAsync(watch.ResponseStream);
        now.Job.Id.ShouldBe(job.Id);
        now.Event.ToState.ShouldBe(JobState.Queued);

        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id });

        var rest = await watch.ResponseStream.ReadAllAsync(Token).ToListAsync(Token);
        rest.Where(update => update.Event is not null).ShouldHaveSingleItem().Event.ToState.ShouldBe(JobState.Cancelled);
        rest[^1].Job.State.ShouldBe(JobState.Cancelled);

        using var resumed = Watch(job.Id, now.Event.Sequence);
        (await resumed.ResponseStream.ReadAllAsync(Token).ToListAsync(Token)).ShouldHaveSingleItem()
            .Event.ToState.ShouldBe(JobState.Cancelled);
        using var past = Watch(job.Id, 2);
        (await past.ResponseStream.ReadAllAsync(Token).ToListAsync(Token)).ShouldHaveSingleItem().Job.State.ShouldBe(JobState.Cancelled);
    }

    [Fact]
    public async Task Logs_ComeFromTheTail_OfOneRank_AndFollowUntilTheJobIsFinal()
    {
        var trainer = await Scheduler.RunAsync("log-node");
        await trainer.LogAsync("one", "two", "three");

        (await LinesAsync(new StreamLogsRequest { JobId = trainer.Job })).ShouldBe(["one", "two", "three"]);
        (await LinesAsync(new StreamLogsRequest { JobId = trainer.Job, Tail = 2 })).ShouldBe(["two", "three"]);
        (await LinesAsync(new StreamLogsRequest { JobId = trainer.Job, Rank = 0 })).ShouldBe(["one", "two", "three"]);
        (await LinesAsync(new StreamLogsRequest { JobId = trainer.Job, Rank = 1 })).ShouldBeEmpty();
        (await Should.ThrowAsync<RpcException>(() => LinesAsync(new StreamLogsRequest { JobId = trainer.Job, Tail = -1 })))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);

        using var follow = Scheduler.Jobs(TestScheduler.ViewerToken)
            .StreamLogs(new StreamLogsRequest { JobId = trainer.Job, Follow = true, Tail = 1 });
        (await NextAsync(follow.ResponseStream)).Lines.ShouldHaveSingleItem().Text.ShouldBe("three");
        await trainer.LogAsync("four");
        var four = (await NextAsync(follow.ResponseStream)).Lines.ShouldHaveSingleItem();
        await trainer.LogAsync("five");
        await trainer.ExitAsync();
        (await follow.ResponseStream.ReadAllAsync(Token).ToListAsync(Token)).SelectMany(m => m.Lines).Select(l => l.Text)
            .ShouldBe(["five"]);
        (await LinesAsync(new StreamLogsRequest { JobId = trainer.Job, AfterSequence = four.Sequence })).ShouldBe(["five"]);
    }

    [Fact]
    public async Task Logs_OfLongLines_ComeInMessagesThatClientsAccept()
    {
        var trainer = await Scheduler.RunAsync("long-log-node");
        // 6 MiB together, in lines of the longest length; a client takes 4 MiB in a message.
        var line = new string('x', 16 << 10);
        await trainer.LogAsync([.. Enumerable.Repeat(line, 192)]);
        await trainer.LogAsync([.. Enumerable.Repeat(line, 192)]);

        (await LinesAsync(new StreamLogsRequest { JobId = trainer.Job })).Count.ShouldBe(384);
        (await LinesAsync(new StreamLogsRequest { JobId = trainer.Job, Tail = 383 })).Count.ShouldBe(383);
    }

    [Fact]
    public async Task Metrics_AreChosenByNameAndStep_AndFollowUntilTheJobIsFinal()
    {
        var trainer = await Scheduler.RunAsync("metric-node");
        await trainer.ReportAsync(
            Point(MetricNames.TrainLoss, 1, 2.5), Point(MetricNames.TrainLoss, 2, 2.25), Point(MetricNames.TrainAccuracy, 2, 0.5));

        (await PointsAsync(new StreamMetricsRequest { JobId = trainer.Job })).Count.ShouldBe(3);
        (await PointsAsync(new StreamMetricsRequest { JobId = trainer.Job, Names = { MetricNames.TrainLoss } }))
            .ShouldBe([(1, 2.5), (2, 2.25)]);
        (await PointsAsync(new StreamMetricsRequest { JobId = trainer.Job, Names = { MetricNames.TrainLoss }, AfterStep = 1 }))
            .ShouldBe([(2, 2.25)]);
        (await Should.ThrowAsync<RpcException>(() => PointsAsync(new StreamMetricsRequest { JobId = trainer.Job, Names = { "a\0" } })))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);

        using var follow = Scheduler.Runs().StreamMetrics(
            new StreamMetricsRequest { JobId = trainer.Job, Names = { MetricNames.TrainLoss }, Follow = true, AfterStep = 2 });
        await trainer.ReportAsync(Point(MetricNames.TrainLoss, 3, 2.0));
        (await NextAsync(follow.ResponseStream)).Points.ShouldHaveSingleItem().Value.ShouldBe(2.0);
        await trainer.ReportAsync(Point(MetricNames.TrainLoss, 4, 1.75));
        await trainer.ExitAsync();
        (await follow.ResponseStream.ReadAllAsync(Token).ToListAsync(Token)).SelectMany(m => m.Points).ShouldHaveSingleItem()
            .Step.ShouldBe(4);
        (await Scheduler.Runs().GetRunAsync(new GetRunRequest { JobId = trainer.Job })).Run.State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task Metrics_OfALongRun_ComeWhole_InMessagesThatClientsAccept_AndGoOnFromThere()
    {
        const int Steps = 60_000;
        var trainer = await Scheduler.RunAsync("many-metrics-node");
        // Names of the longest length that may be asked for: 60,000 points are 15 MiB then.
        var name = new string('n', 200);
        await Scheduler.ExecuteAsync($"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select '{trainer.Job}', 1, 0, series, step, 1, now(), step
            from generate_series(1, {Steps}) step, (values ('{name}'), ('a')) names (series)
            """);
        using var call = Scheduler.Runs().StreamMetrics(new StreamMetricsRequest { JobId = trainer.Job, Follow = true });
        var points = new List<MetricPoint>();
        while (points.Count < 2 * Steps)
        {
            var message = await NextAsync(call.ResponseStream);
            message.CalculateSize().ShouldBeLessThan(2 << 20);
            points.AddRange(message.Points);
        }

        points.Select(point => (point.Name, point.Step)).ShouldBe(
            Enumerable.Range(1, Steps).Select(step => ("a", (long)step))
                .Concat(Enumerable.Range(1, Steps).Select(step => (name, (long)step))));
        await trainer.ReportAsync(Point("a", Steps + 1, double.NaN));
        (await NextAsync(call.ResponseStream)).Points.ShouldHaveSingleItem().Value.ShouldBe(double.NaN);
        // A reader who was held up gets what has arrived meanwhile, in messages just as small.
        await Scheduler.ExecuteAsync($"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select '{trainer.Job}', 1, 0, '{name}', step, 1, now(), step from generate_series({Steps + 1}, {2 * Steps}) step
            """);
        await trainer.ExitAsync();
        var rest = await call.ResponseStream.ReadAllAsync(Token).ToListAsync(Token);
        rest.ShouldAllBe(message => message.CalculateSize() < 2 << 20);
        rest.SelectMany(message => message.Points).Select(point => point.Step)
            .ShouldBe(Enumerable.Range(Steps + 1, Steps).Select(step => (long)step));
    }

    [Fact]
    public async Task Metrics_OfAtMostSoManyPoints_AreDownsampled_AndGoOnAsTheyCome()
    {
        var trainer = await Scheduler.RunAsync("downsampled-node");
        await Scheduler.ExecuteAsync($"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select '{trainer.Job}', 1, 0, '{MetricNames.TrainLoss}', step, 1, now(), case step when 777 then 'NaN' else 1.0 / step end
            from generate_series(1, 1000) step
            """);
        using var call = Scheduler.Runs().StreamMetrics(
            new StreamMetricsRequest { JobId = trainer.Job, MaxPoints = 30, AfterStep = 5, Follow = true });

        // Four buckets of 256: each falls from its first point to its last, one has the gap.
        (await NextAsync(call.ResponseStream)).Points.Select(point => (point.Step, point.Value)).ShouldBe(
            [(255L, 1 / 255.0), (256, 1 / 256.0), (511, 1 / 511.0), (512, 1 / 512.0), (767, 1 / 767.0), (768, 1 / 768.0), (777, double.NaN),
                (1000, 1 / 1000.0)]);
        await trainer.ReportAsync(Point(MetricNames.TrainLoss, 1001, 0.5));
        (await NextAsync(call.ResponseStream)).Points.ShouldHaveSingleItem().Step.ShouldBe(1001);
        foreach (var wrong in new[] { -1, 5, 12_289 })
        {
            var request = new StreamMetricsRequest { JobId = trainer.Job, MaxPoints = wrong };
            var refusal = await Should.ThrowAsync<RpcException>(() => PointsAsync(request));
            refusal.Status.ShouldBe(new Status(StatusCode.InvalidArgument, $"max_points is {wrong}; give 6 to 12288, or 0 for all points"));
        }
    }

    [Fact]
    public async Task Watch_Brief_SendsSpecAndPlacementOnce_AndAgainThePlacementOfAnotherAttempt()
    {
        var trainer = await Scheduler.RunAsync("brief-node");
        using var watch = Scheduler.Jobs(TestScheduler.ViewerToken)
            .WatchJob(new WatchJobRequest { JobId = trainer.Job, AfterSequence = 3, Brief = true });
        var whole = (await NextAsync(watch.ResponseStream)).Job;
        (whole.Spec.Name, whole.Placement.Count).ShouldBe(("test", 1));

        await trainer.ReportAsync(new ReportRequest { Progress = new Progress { Step = 7 } });
        var progress = (await NextAsync(watch.ResponseStream)).Job;
        await trainer.RestartAsync();
        Job other;
        do
            other = (await NextAsync(watch.ResponseStream)).Job;
        while (other.Attempt == 1);

        (progress.Id, progress.Progress.Step, progress.Spec).ShouldBe((trainer.Job, 7, null));
        progress.Placement.ShouldBeEmpty();
        (other.Attempt, other.Spec).ShouldBe((2, null));
        other.Placement.ShouldHaveSingleItem().NodeName.ShouldBe("brief-node");
    }

    [Fact]
    public async Task AbandonedCalls_LeaveNoSubscription()
    {
        await Eventually.HoldsAsync(() => Scheduler.Watchers == 0);
        var job = await Scheduler.SubmitWaitingAsync();
        using (var left = CancellationTokenSource.CreateLinkedTokenSource(Token))
        {
            using var watch = Scheduler.Jobs(TestScheduler.ViewerToken)
                .WatchJob(new WatchJobRequest { JobId = job.Id }, cancellationToken: left.Token);
            using var logs = Scheduler.Jobs(TestScheduler.ViewerToken)
                .StreamLogs(new StreamLogsRequest { JobId = job.Id, Follow = true }, cancellationToken: left.Token);
            using var metrics = Scheduler.Runs()
                .StreamMetrics(new StreamMetricsRequest { JobId = job.Id, Follow = true }, cancellationToken: left.Token);
            await NextAsync(watch.ResponseStream);
            await Eventually.HoldsAsync(() => Scheduler.Watchers == 3);
            await left.CancelAsync();
        }

        await Eventually.HoldsAsync(() => Scheduler.Watchers == 0);
    }

    private AsyncServerStreamingCall<WatchJobResponse> Watch(string job, long afterSequence) =>
        Scheduler.Jobs(TestScheduler.ViewerToken).WatchJob(new WatchJobRequest { JobId = job, AfterSequence = afterSequence });

    private async Task<List<string>> LinesAsync(StreamLogsRequest request)
    {
        using var call = Scheduler.Jobs(TestScheduler.ViewerToken).StreamLogs(request);
        return await call.ResponseStream.ReadAllAsync(Token).SelectMany(message => message.Lines).Select(line => line.Text)
            .ToListAsync(Token);
    }

    private async Task<List<(long Step, double Value)>> PointsAsync(StreamMetricsRequest request)
    {
        using var call = Scheduler.Runs().StreamMetrics(request);
        return await call.ResponseStream.ReadAllAsync(Token).SelectMany(message => message.Points)
            .Select(point => (point.Step, point.Value)).ToListAsync(Token);
    }

    private static MetricPoint Point(string name, long step, double value) => new() { Name = name, Step = step, Epoch = 1, Value = value };

    private static async Task<T> NextAsync<T>(IAsyncStreamReader<T> stream)
    {
        (await stream.MoveNext(Token)).ShouldBeTrue("the stream has ended");
        return stream.Current;
    }
}
