using System.Diagnostics;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Scheduler.Tests.Access;

/// <summary>Streams that are open when their caller's token ends, or a workspace is closed to the caller.</summary>
public sealed class OpenStreamTests(PostgresServer postgres) : IAsyncLifetime
{
    private const string Carlas = "carla-looks-at-everything";
    private const string Closing = "vision";

    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private TestScheduler _scheduler = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _scheduler = await TestScheduler.StartAsync(postgres);

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public void EveryStreamOfPeople_NamesWhatItIsAbout_ByAFieldThatIsWatched() =>
        RequiredScope.Services().SelectMany(service => service.Methods)
            .Where(method => method.IsServerStreaming && RequiredScope.Of(method) is not Scope.Attempt)
            .Where(method => new[] { "job_id", "experiment_id", "checkpoint_id" }.All(id => method.InputType.FindFieldByName(id) is null))
            .ShouldBeEmpty();

    [Fact]
    public async Task RevokedToken_EndsEveryStream_ThoughNothingHappensOnIt_AndTheAuditSaysSo()
    {
        var token = await _scheduler.AddTokenAsync(Carlas, "carla", Scope.Submitter);
        var (experiment, trainers) = await _scheduler.RunExperimentAsync("node-a");
        var streams = await OpenAsync(Carlas, trainers[0], experiment);
        using var upload = _scheduler.Checkpoints(Carlas).ImportCheckpoint(cancellationToken: Token);
        await upload.RequestStream.WriteAsync(new ImportCheckpointRequest
        {
            File = new ImportedFile { Name = "weights.safetensors", Bytes = 1 << 20, Model = new ModelSpec { Name = "lenet5" } },
        }, Token);
        using var others = _scheduler.Jobs().WatchJob(new WatchJobRequest { JobId = trainers[0].Job }, cancellationToken: Token);
        await others.ResponseStream.MoveNext(Token);

        await _scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = $"{token}" });

        await AllEndAsync([.. streams, ("ImportCheckpoint", upload.ResponseAsync)], StatusCode.Unauthenticated, "is revoked");
        foreach (var action in new[] { "JobService/WatchJob", "CheckpointService/ImportCheckpoint" })
        {
            var asked = new ListAuditRequest { Who = "carla" };
            await Eventually.HoldsAsync(async () => (await _scheduler.Audit().ListAuditAsync(asked)).Entries
                .Any(entry => (entry.Action, entry.Status) == (action, "Unauthenticated")));
        }

        // Another's goes on.
        await trainers[0].ExitAsync();
        (await others.ResponseStream.ReadAllAsync(Token).ToListAsync(Token))[^1].Job.State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task ExpiredToken_EndsEveryStream()
    {
        var (experiment, trainers) = await _scheduler.RunExperimentAsync("node-a");
        await _scheduler.AddTokenAsync(Carlas, "carla", Scope.Viewer);
        var streams = await OpenAsync(Carlas, trainers[0], experiment);

        await _scheduler.ExecuteAsync("update tokens set expires_at = now() + interval '1 second' where owner = 'carla'");
        await _scheduler.Get<TokenRegister>().LoadAsync(Token);

        await AllEndAsync(streams, StatusCode.Unauthenticated, "has expired");
    }

    [Fact]
    public async Task WorkspaceThatIsClosed_EndsTheStreamsOfWhoIsNoMember_AndNoOthers()
    {
        await _scheduler.AddTokenAsync(Carlas, "carla", Scope.Viewer);
        var (experiment, trainers) = await _scheduler.RunExperimentAsync("node-a", workspace: Closing);
        var elsewhere = await _scheduler.SubmitWaitingAsync("anything");
        var streams = await OpenAsync(Carlas, trainers[0], experiment);
        using var open = _scheduler.Jobs(Carlas).WatchJob(new WatchJobRequest { JobId = elsewhere.Id[..8] }, cancellationToken: Token);
        await open.ResponseStream.MoveNext(Token);
        using var owners = _scheduler.Jobs().WatchJob(new WatchJobRequest { JobId = trainers[0].Job }, cancellationToken: Token);
        await owners.ResponseStream.MoveNext(Token);

        await _scheduler.Workspaces().CloseWorkspaceAsync(new CloseWorkspaceRequest { Name = Closing });

        await AllEndAsync(streams, StatusCode.PermissionDenied, "has been closed to you");
        await _scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = elsewhere.Id });
        (await open.ResponseStream.ReadAllAsync(Token).ToListAsync(Token))[^1].Job.State.ShouldBe(JobState.Cancelled);
        await trainers[0].ExitAsync();
        (await owners.ResponseStream.ReadAllAsync(Token).ToListAsync(Token))[^1].Job.State.ShouldBe(JobState.Succeeded);
    }

    [Fact]
    public async Task RevokedToken_OfWhoReadsNothing_EndsTheStreamToo()
    {
        var token = await _scheduler.AddTokenAsync(Carlas, "carla", Scope.Viewer);
        var trainer = await _scheduler.RunAsync("node-a");
        // 12 MiB, more than any window on the way: the scheduler waits to send.
        for (var i = 0; i < 4; i++)
            await trainer.LogAsync([.. Enumerable.Repeat(new string('x', 16 << 10), 192)]);
        using var logs = _scheduler.Jobs(Carlas).StreamLogs(new StreamLogsRequest { JobId = trainer.Job, Follow = true });
        await Eventually.HoldsAsync(() => _scheduler.Watchers == 1);
        var clock = Stopwatch.StartNew();

        await _scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = $"{token}" });

        await Eventually.HoldsAsync(() => _scheduler.Watchers == 0);
        clock.Elapsed.ShouldBeLessThan(Bound);
    }

    [Fact]
    public void ProvidersToken_IsOver_WhenANewCallWouldBeRefused()
    {
        var time = new FakeTimeProvider();
        var caller = new Caller("carla", Scope.Viewer) { EndsAt = time.GetUtcNow().AddMinutes(5) };
        var standing = ScopeInterceptor.StandingOf(caller, time);

        time.Advance(TimeSpan.FromMinutes(5) - TimeSpan.FromTicks(1));
        standing.Refusal().ShouldBeNull();
        time.Advance(TimeSpan.FromTicks(1));

        standing.Refusal()!.StatusCode.ShouldBe(StatusCode.Unauthenticated);
    }

    /// <summary>All that a person may follow, each of which has sent what there is and waits.</summary>
    private async Task<List<(string Name, Task End)>> OpenAsync(string token, TestTrainer trainer, string experiment)
    {
        var (jobs, runs, experiments) = (_scheduler.Jobs(token), _scheduler.Runs(token), _scheduler.Experiments(token));
        await trainer.ReportAsync(new MetricPoint { Name = "train/loss", Step = 1, Value = 1 });
        await trainer.LogAsync("one");
        var job = trainer.Job;
        var watch = jobs.WatchJob(new WatchJobRequest { JobId = job }, cancellationToken: Token);
        var logs = jobs.StreamLogs(new StreamLogsRequest { JobId = job, Follow = true }, cancellationToken: Token);
        var metrics = runs.StreamMetrics(new StreamMetricsRequest { JobId = job, Follow = true }, cancellationToken: Token);
        var all = experiments.WatchExperiment(new WatchExperimentRequest { ExperimentId = experiment }, cancellationToken: Token);
        foreach (var first in new[]
        {
            watch.ResponseStream.MoveNext(Token), logs.ResponseStream.MoveNext(Token), metrics.ResponseStream.MoveNext(Token),
            all.ResponseStream.MoveNext(Token),
        })
        {
            (await first).ShouldBeTrue();
        }

        return
        [
            ("WatchJob", EndAsync(watch.ResponseStream)), ("StreamLogs", EndAsync(logs.ResponseStream)),
            ("StreamMetrics", EndAsync(metrics.ResponseStream)), ("WatchExperiment", EndAsync(all.ResponseStream)),
        ];

        static async Task EndAsync<T>(IAsyncStreamReader<T> stream)
        {
            while (await stream.MoveNext(Token))
            {
            }
        }
    }

    private static async Task AllEndAsync(List<(string Name, Task End)> streams, StatusCode status, string why)
    {
        var clock = Stopwatch.StartNew();
        foreach (var (name, end) in streams)
        {
            var refusal = await Should.ThrowAsync<RpcException>(() => end.WaitAsync(Bound, Token), name);
            refusal.StatusCode.ShouldBe(status, $"{name}: {refusal.Status.Detail}");
            refusal.Status.Detail.ShouldContain(why, customMessage: name);
        }

        clock.Elapsed.ShouldBeLessThan(Bound);
    }
}
