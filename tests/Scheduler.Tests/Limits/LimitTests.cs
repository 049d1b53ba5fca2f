using System.Net;
using System.Net.Http.Headers;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using Microsoft.Extensions.Options;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Limits;

/// <summary>What one caller cannot take from the others.</summary>
public sealed class LimitTests(PostgresServer postgres)
{
    // More than a scheduler of a call a second lets through while they are made, on any machine.
    private const int Many = 100;

    private static readonly (string, string)[] ACallASecond = [("Limits:CallBurst", "1"), ("Limits:CallsPerSecond", "1")];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_BeyondTheRate_AreRefusedWithATimeToTryAgain_AndNobodyElses()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ACallASecond);
        var jobs = scheduler.Jobs(TestScheduler.SubmitterToken);

        var statuses = await Task.WhenAll(Enumerable.Range(0, Many).Select(_ => StatusAsync(jobs)));

        statuses.ShouldContain((StatusCode.OK, null));
        var refusals = statuses.Where(each => each.Code != StatusCode.OK).ToList();
        refusals.ShouldNotBeEmpty();
        refusals.ShouldAllBe(each => each.Code == StatusCode.ResourceExhausted && each.PushbackMs != null);
        (await StatusAsync(scheduler.Jobs(TestScheduler.OtherSubmitterToken))).Code.ShouldBe(StatusCode.OK);
    }

    [Fact]
    public async Task RestCalls_BeyondTheRate_AreTooMany_WithATimeToTryAgain()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ACallASecond);
        using var client = scheduler.Browser();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", TestScheduler.SubmitterToken);

        var answers = await Task.WhenAll(Enumerable.Range(0, Many).Select(_ => client.GetAsync("/v1/jobs", Token)));

        var refused = answers.First(answer => answer.StatusCode != HttpStatusCode.OK);
        refused.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        refused.Headers.RetryAfter!.Delta!.Value.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(1));
        (await refused.Content.ReadAsStringAsync(Token)).ShouldContain("alice makes more calls a second than 1 (Limits:CallsPerSecond)");
    }

    [Fact]
    public async Task Administrators_AreNotLimited()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ACallASecond);
        var jobs = scheduler.Jobs(TestScheduler.AdminToken);

        (await Task.WhenAll(Enumerable.Range(0, Many).Select(_ => StatusAsync(jobs)))).ShouldAllBe(each => each.Code == StatusCode.OK);
    }

    [Fact]
    public async Task Streams_BeyondTheirNumber_AreRefused_UntilOneEnds()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:StreamsAtOnce", "2"));
        var job = await scheduler.SubmitWaitingAsync();
        using var first = await WatchAsync(scheduler, job.Id);
        using var second = await WatchAsync(scheduler, job.Id);

        var refusal = await Should.ThrowAsync<RpcException>(() => WatchAsync(scheduler, job.Id));
        refusal.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        refusal.Status.Detail.ShouldBe("alice has 2 streams at once, as many as may be (Limits:StreamsAtOnce); try again in 1 s");
        using (await WatchAsync(scheduler, job.Id, TestScheduler.OtherSubmitterToken))
            first.Dispose();

        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                using var third = await WatchAsync(scheduler, job.Id);
                return true;
            }
            catch (RpcException again) when (again.StatusCode == StatusCode.ResourceExhausted)
            {
                return false;
            }
        });
    }

    [Fact]
    public async Task Jobs_BeyondAnOwnersNumber_AreRefused_UntilOneIsOver()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:JobsPerOwner", "3"));
        var first = SubmitOf();
        var job = (await scheduler.Jobs().SubmitJobAsync(first, cancellationToken: Token)).Job;
        for (var more = 0; more < 2; more++)
            await scheduler.Jobs().SubmitJobAsync(SubmitOf(), cancellationToken: Token);

        var refusal = await Should.ThrowAsync<RpcException>(
            async () => await scheduler.Jobs().SubmitJobAsync(SubmitOf(), cancellationToken: Token));
        refusal.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        refusal.Status.Detail.ShouldBe("alice has 3 jobs that are not over, and 1 more would be more than 3 (Limits:JobsPerOwner); "
            + "wait until some are over, or cancel some");
        (await scheduler.Jobs().SubmitJobAsync(first, cancellationToken: Token)).Job.Id
            .ShouldBe(job.Id, "a repeated submit asks what became of the first");
        await scheduler.Jobs(TestScheduler.OtherSubmitterToken).SubmitJobAsync(SubmitOf(), cancellationToken: Token);

        await scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id }, cancellationToken: Token);

        await scheduler.Jobs().SubmitJobAsync(SubmitOf(), cancellationToken: Token);
    }

    [Fact]
    public async Task Experiment_OfMoreJobsThanItsOwnerMayHave_IsRefusedWhole()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:JobsPerOwner", "1"));
        const string Yaml = """
            model: fourlayer_cnn
            data: fashion-mnist
            resources: {devices: 1, deviceKind: cpu, nodeLabels: {only: nowhere} }
            matrix: {model.options.activation: [relu, tanh]}
            """;
        var request = new SubmitExperimentRequest { RequestId = "one", Yaml = Yaml, WaitForCapacity = true };

        (await Should.ThrowAsync<RpcException>(async () => await scheduler.Experiments().SubmitExperimentAsync(request)))
            .StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        (await scheduler.QueryAsync("select count(*) from jobs")).ShouldBe(0L);
    }

    [Fact]
    public async Task Search_CountsTheTrialsThatItMayStillMake_AndIsLetMakeNoMoreThanItsOwnerMayHave()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:JobsPerOwner", "5"));
        var first = (await scheduler.Experiments().SubmitExperimentAsync(SearchOf("one", trials: 3), cancellationToken: Token)).Experiment;
        (await scheduler.QueryAsync("select count(*) from jobs")).ShouldBe(1L);

        await RefusedAsync(scheduler.Experiments()
            .SubmitExperimentAsync(SearchOf("two", trials: 3), cancellationToken: Token).ResponseAsync);
        await RefusedAsync(scheduler.Experiments()
            .LimitExperimentAsync(new LimitExperimentRequest { ExperimentId = first.Id, MaxTrials = 6 }, cancellationToken: Token)
            .ResponseAsync);
        (await scheduler.Experiments().SubmitExperimentAsync(SearchOf("one", trials: 3), cancellationToken: Token))
            .Experiment.Id.ShouldBe(first.Id);
        await scheduler.Experiments().SubmitExperimentAsync(SearchOf("three", trials: 2), cancellationToken: Token);
        await RefusedAsync(scheduler.Jobs().SubmitJobAsync(SubmitOf(), cancellationToken: Token).ResponseAsync);

        await scheduler.Experiments()
            .CancelExperimentAsync(new CancelExperimentRequest { ExperimentId = first.Id }, cancellationToken: Token);

        await scheduler.Jobs().SubmitJobAsync(SubmitOf(), cancellationToken: Token);

        static async Task RefusedAsync(Task call) => (await StatusOfAsync(call)).ShouldBe(StatusCode.ResourceExhausted);

        static SubmitExperimentRequest SearchOf(string request, int trials) => new()
        {
            RequestId = request,
            Yaml = $$"""
                model: lenet5
                data: {name: fashion-mnist, validationSamples: 512}
                resources: {devices: 1, deviceKind: cpu, nodeLabels: {only: nowhere} }
                searcher: {name: random, maxTrials: {{trials}}, maxConcurrent: 1}
                hyperparameters: {optimizer: {learningRate: {type: log, minval: -4, maxval: -1} } }
                """,
            WaitForCapacity = true,
        };
    }

    [Fact]
    public async Task Uploads_BeyondTheirNumber_AreRefused()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:UploadsAtOnce", "1"));
        using var first = scheduler.Checkpoints(TestScheduler.SubmitterToken).ImportCheckpoint(cancellationToken: Token);
        var file = new ImportedFile { Name = "model.safetensors", Bytes = 1 << 20, Model = new ModelSpec { Name = "lenet5" } };
        await first.RequestStream.WriteAsync(new ImportCheckpointRequest { File = file }, Token);

        // The first one is there once a second is refused; before that the second is taken in, and ends without a file.
        await Eventually.HoldsAsync(async () =>
        {
            using var second = scheduler.Checkpoints(TestScheduler.SubmitterToken).ImportCheckpoint(cancellationToken: Token);
            await second.RequestStream.CompleteAsync();
            var refusal = await Should.ThrowAsync<RpcException>(async () => await second.ResponseAsync);
            return refusal.StatusCode == StatusCode.ResourceExhausted
                && refusal.Status.Detail.StartsWith("alice has 1 uploads at once", StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Calls_BeyondTheirNumberAtOnce_AreRefused()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:CallsAtOnce", "1"));
        await scheduler.AddNodeAsync("node");
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        scheduler.Agents.OnDescribe = async (_, _) =>
        {
            asked.TrySetResult();
            await end.Task;
            return DescribeResult.Of(new DescribeModelsResponse { Answers = { new ModelAnswer { Description = new ModelDescription() } } });
        };
        var first = new ModelService.ModelServiceClient(scheduler.As(TestScheduler.SubmitterToken))
            .DescribeModelAsync(new DescribeModelRequest { Model = new ModelSpec { Name = "lenet5" } }, cancellationToken: Token);
        await asked.Task.WaitAsync(Token);

        (await StatusAsync(scheduler.Jobs())).Code.ShouldBe(StatusCode.ResourceExhausted);
        (await StatusAsync(scheduler.Jobs(TestScheduler.OtherSubmitterToken))).Code.ShouldBe(StatusCode.OK);
        end.SetResult();
        await first;

        (await StatusAsync(scheduler.Jobs())).Code.ShouldBe(StatusCode.OK);
    }

    [Fact]
    public async Task Import_OfTooLargeAFile_IsRefusedBeforeItIsSent()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:ImportBytes", $"{1 << 20}"));
        var weights = new CheckpointService.CheckpointServiceClient(scheduler.As(TestScheduler.SubmitterToken));
        using var call = weights.ImportCheckpoint(cancellationToken: Token);
        var file = new ImportedFile { Name = "model.safetensors", Bytes = (1 << 20) + 1, Model = new ModelSpec { Name = "lenet5" } };
        await call.RequestStream.WriteAsync(new ImportCheckpointRequest { File = file }, Token);

        var refusal = await Should.ThrowAsync<RpcException>(async () => await call.ResponseAsync);

        refusal.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        refusal.Status.Detail.ShouldBe("file.bytes is 1048577; at most 1048576 are taken (Limits:ImportBytes)");
    }

    [Fact]
    public async Task Report_OfTooManyPoints_IsRefused()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Limits:PointsPerReport", "100"));
        var trainer = await scheduler.RunAsync("node");

        await trainer.ReportAsync([.. Enumerable.Range(1, 100).Select(Point)]);
        var refusal = await Should.ThrowAsync<RpcException>(() => trainer.ReportAsync([.. Enumerable.Range(1, 101).Select(Point)]));

        refusal.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        refusal.Status.Detail.ShouldBe("a report has 101 points; at most 100 are taken (Limits:PointsPerReport)");

        static MetricPoint Point(int step) => new() { Name = "train.loss", Step = step, Value = 1 };
    }

    [Fact]
    public async Task Report_WhoseSeriesHasALongName_IsRefused()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var trainer = await scheduler.RunAsync("node");

        await trainer.ReportAsync(new MetricPoint { Name = new string('a', 200), Step = 1, Value = 1 });
        var refusal = await Should.ThrowAsync<RpcException>(
            () => trainer.ReportAsync(new MetricPoint { Name = new string('a', 201), Step = 1, Value = 1 }));

        refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refusal.Status.Detail.ShouldBe("points.name has 201 characters; give 200 at most");
    }

    [Fact]
    public async Task Report_OfMoreSeriesThanAJobMayHave_IsRefused_AndOfThoseItHasTakenIn()
    {
        (string, string)[] tenSeries = [("Limits:SeriesPerJob", "10")];
        await using var scheduler = await TestScheduler.StartAsync(postgres, tenSeries);
        var trainer = await scheduler.RunAsync("node");
        await trainer.ReportAsync([.. Series(1, 9)]);

        var refusal = await Should.ThrowAsync<RpcException>(() => trainer.ReportAsync([.. Series(9, 3)]));

        refusal.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        refusal.Status.Detail.ShouldBe($"job {trainer.Job} would have more than 10 series of metrics (Limits:SeriesPerJob)");
        await trainer.ReportAsync([.. Series(1, 10)]);
        (await scheduler.QueryAsync("select count(distinct name) from metrics")).ShouldBe(10L);
        // As a scheduler does that has just started.
        var others = new SeriesLimit(scheduler.Get<MetricStore>(), scheduler.Get<IOptions<LimitOptions>>());
        (await others.TryAddAsync(JobId.Parse(trainer.Job), ["series.10"], Token)).ShouldBeTrue();
        (await others.TryAddAsync(JobId.Parse(trainer.Job), ["series.11"], Token)).ShouldBeFalse();

        static IEnumerable<MetricPoint> Series(int first, int count) => Enumerable.Range(first, count)
            .Select(number => new MetricPoint { Name = $"series.{number}", Step = 1, Value = 1 });
    }

    [Fact]
    public async Task Descriptions_HoweverMany_HoldUpNoForecast_AndAreRefusedBeyondTheirNumber()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Models:ForecastPatience", "00:05:00"));
        await scheduler.AddNodeAsync("node");
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        scheduler.Agents.OnDescribe = async (_, request) =>
        {
            // Those that people ask for hang.
            if (request.Queries[0].Layers)
                await end.Task;
            return DescribeResult.Of(new DescribeModelsResponse
            {
                Answers =
                {
                    request.Queries.Select(_ => new ModelAnswer
                    {
                        Description = new ModelDescription { Memory = new MemoryEstimate { Total = 1 } },
                    }),
                },
            });
        };
        var models = new ModelService.ModelServiceClient(scheduler.As(TestScheduler.OtherSubmitterToken));
        var asked = Enumerable.Range(1, Many).Select(batch => StatusOfAsync(models.DescribeModelAsync(
            new DescribeModelRequest { Model = new ModelSpec { Name = "lenet5" }, BatchSize = batch }).ResponseAsync)).ToList();
        (await await Task.WhenAny(asked)).ShouldBe(StatusCode.ResourceExhausted);

        var job = (await scheduler.Jobs().SubmitJobAsync(
            new SubmitJobRequest { RequestId = "one", Spec = AJob().Build() }, cancellationToken: Token)).Job;

        await Eventually.HoldsAsync(async () =>
            (await scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = job.Id })).Job.Memory is { Total: > 0 });
        end.SetResult();
        (await Task.WhenAll(asked)).Count(code => code == StatusCode.ResourceExhausted).ShouldBeGreaterThan(0);
    }

    private static SubmitJobRequest SubmitOf() => new()
    {
        RequestId = Guid.NewGuid().ToString(),
        Spec = AJob().With(spec => spec.Resources.NodeLabels["only"] = "nowhere").Build(),
        WaitForCapacity = true,
    };

    private static async Task<(StatusCode Code, string? PushbackMs)> StatusAsync(JobService.JobServiceClient jobs)
    {
        try
        {
            await jobs.ListJobsAsync(new ListJobsRequest { PageSize = 1 });
            return (StatusCode.OK, null);
        }
        catch (RpcException refusal)
        {
            return (refusal.StatusCode, refusal.Trailers.GetValue("grpc-retry-pushback-ms"));
        }
    }

    private static async Task<StatusCode> StatusOfAsync(Task call)
    {
        try
        {
            await call;
            return StatusCode.OK;
        }
        catch (RpcException end)
        {
            return end.StatusCode;
        }
    }

    /// <summary>A watch that has begun.</summary>
    private static async Task<AsyncServerStreamingCall<WatchJobResponse>> WatchAsync(
        TestScheduler scheduler, string job, string token = TestScheduler.SubmitterToken)
    {
        var call = scheduler.Jobs(token).WatchJob(new WatchJobRequest { JobId = job });
        try
        {
            (await call.ResponseStream.MoveNext(Token)).ShouldBeTrue();
            return call;
        }
        catch
        {
            call.Dispose();
            throw;
        }
    }
}
