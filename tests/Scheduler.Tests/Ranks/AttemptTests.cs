using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Ranks;

public sealed class FencingTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EverythingFromASupersededAttempt_IsRefused()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().With(s => s.Restarts.InitialBackoff = new Duration()));
        await cluster.RunAsync(job);
        var old = cluster.Credential(job, 1);
        await cluster.Get<LogStore>().AppendAsync(node.Id, job, 1, 1, [new LogLine { Text = "taken" }], Token);
        await node.ExitAsync(job, 1, 0, exitCode: 1);
        await cluster.RunAsync(job);

        (await cluster.Get<AttemptFence>().StandingAsync(old, Token)).ShouldBe(AttemptStanding.Over);
        await RefusedAsync(() => cluster.Get<AttemptReports>().ReportAsync(
            old, new ReportRequest { Sequence = 2, Points = { new MetricPoint { Name = "train/loss", Step = 1, Value = 666 } } }, Token));
        await RefusedAsync(() => cluster.Get<Rendezvous>().JoinAsync(old,
            new RendezvousRequest { Name = "collectives", Endpoint = new RankEndpoint { Address = "zombie:1" } }, TimeSpan.Zero, Token));
        await RefusedAsync(() => cluster.Get<ChunkStore>().PutAsync(old, Chunks.Stream(Chunks.Of(1)), Token));
        await RefusedAsync(() => cluster.Get<CheckpointStore>().CommitAsync(old, new CheckpointManifest { Step = 1 }, 1, Token));
        await RefusedAsync(() => cluster.Get<LogStore>().AppendAsync(node.Id, job, 1, 2, [new LogLine { Text = "zombie" }], Token));

        (await cluster.Get<MetricStore>().ReadAsync(job, [], 0, 0, Token).ToListAsync(Token)).ShouldBeEmpty();
        (await cluster.Get<LogStore>().ReadAsync(job, 0, null, 100, Token)).Select(l => l.Text).ShouldBe(["taken"]);
        (await cluster.Get<CheckpointQueries>().ListAsync(job, 100, Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task WrongSecretOrUnknownAttempt_IsUnknown()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var fence = cluster.Get<AttemptFence>();

        (await fence.StandingAsync(cluster.Credential(job, 1), Token)).ShouldBe(AttemptStanding.Current);
        (await fence.StandingAsync(AttemptCredential.Of(job, 1, 0, "guess"), Token)).ShouldBe(AttemptStanding.Unknown);
        (await fence.StandingAsync(AttemptCredential.Of(job, 2, 0, cluster.Agents.SecretOf(job.ToString(), 1)), Token))
            .ShouldBe(AttemptStanding.Unknown);
        await RefusedAsync(() =>
            cluster.Get<AttemptReports>().ReportAsync(AttemptCredential.Of(job, 1, 0, "guess"), new ReportRequest { Sequence = 9 }, Token));
    }

    /// <summary>A write that passed the fence holds the attempt open: it is not concluded under the write's feet.</summary>
    [Fact]
    public async Task Conclusion_WaitsForAWriteThatPassedTheFence()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var passed = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();
        var write = cluster.Get<ClusterDatabase>().TransactAsync(async (connection, token) =>
        {
            await AttemptFence.HoldAsync(connection, cluster.Credential(job, 1), token);
            passed.SetResult();
            await goOn.Task;
            return true;
        }, Token);
        await passed.Task;

        var exit = node.ExitAsync(job, 1, 0, TrainerExit.Done);
        await WaitForBlockedAsync(cluster, exit);
        exit.IsCompleted.ShouldBeFalse();
        goOn.SetResult();
        await write;
        await exit;

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Succeeded);
    }

    private static async Task WaitForBlockedAsync(TestCluster cluster, Task unlessDone)
    {
        // Postgres tells when a session waits for a lock.
        while (!unlessDone.IsCompleted && !await cluster.Get<ClusterDatabase>().RunAsync(async (connection, token) =>
        {
            await using var command = new Npgsql.NpgsqlCommand(
                "select exists (select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())",
                connection);
            return (bool)(await command.ExecuteScalarAsync(token))!;
        }, Token))
        {
            Token.ThrowIfCancellationRequested();
        }
    }

    private static async Task RefusedAsync(Func<Task> write) => await Should.ThrowAsync<AttemptFencedException>(write);
}

public sealed class ReportTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Report_SentAgain_IsStoredOnce_AndHoweverManyCameOneRowKnowsIt()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var report = new ReportRequest { Sequence = 5, Points = { new MetricPoint { Name = "train/loss", Step = 1, Value = 0.5 } } };

        await cluster.Get<AttemptReports>().ReportAsync(cluster.Credential(job, 1), report, Token);
        await cluster.Get<AttemptReports>().ReportAsync(cluster.Credential(job, 1), report, Token);
        (await CountAsync(cluster, "metrics")).ShouldBe(1);
        var next = report.Clone();
        next.Sequence++;
        await cluster.Get<AttemptReports>().ReportAsync(cluster.Credential(job, 1), next, Token);
        // An answer was lost, and the repetition overtaken.
        await cluster.Get<AttemptReports>().ReportAsync(cluster.Credential(job, 1), report, Token);

        (await CountAsync(cluster, "metrics")).ShouldBe(2);
        (await CountAsync(cluster, "report_cursors")).ShouldBe(1);
    }

    [Fact]
    public async Task Progress_KeepsTheFiguresThatANewerReportLeavesOut()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var before = await VersionAsync(cluster);

        await ReportAsync(2, new Progress { Epoch = 1, Epochs = 2, Step = 10, Steps = 20, TrainLoss = 1.5, ValidationAccuracy = 0.5 });
        await ReportAsync(3, new Progress { Epoch = 0, Epochs = 2, Step = 11, Steps = 20, TrainLoss = 1.25 });

        (await cluster.GetAsync(job)).Progress.ShouldBe(
            new Progress { Epoch = 0, Epochs = 2, Step = 11, Steps = 20, TrainLoss = 1.25, ValidationAccuracy = 0.5 });
        (await VersionAsync(cluster)).ShouldBe(before, "a report costs the job's row no version");

        Task ReportAsync(int sequence, Progress progress) => cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, 1), new ReportRequest { Sequence = sequence, Progress = progress }, Token);
    }

    [Fact]
    public async Task Environment_IsKeptWithTheRun()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var environment = new RunEnvironment { WorldSize = 1, ThreadsPerRank = 2, CpuModel = "test", ParameterCount = 61706 };

        await cluster.Get<AttemptReports>()
            .ReportAsync(cluster.Credential(job, 1), new ReportRequest { Sequence = 2, Environment = environment }, Token);
        await cluster.Get<AttemptReports>()
            .ReportAsync(cluster.Credential(job, 1), new ReportRequest { Sequence = 3, Progress = new Progress { Step = 1 } }, Token);

        var run = (await cluster.Get<RunQueries>().GetAsync(job, Token))!;
        run.Environment.ShouldBe(environment);
        run.Progress.Step.ShouldBe(1);
    }

    [Fact]
    public async Task Running_BeginsWhenTheLastRankHasStarted()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.ReconcileAsync();
        var started = new ReportRequest { Sequence = 1, Started = true };

        await cluster.Get<AttemptReports>().ReportAsync(cluster.Credential(job, 1, 1), started, Token);
        await cluster.Get<AttemptReports>().ReportAsync(cluster.Credential(job, 1, 1), started, Token);
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Starting);
        await cluster.Get<AttemptReports>().ReportAsync(cluster.Credential(job, 1, 0), started, Token);

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
    }

    /// <summary>Attempt 1 reached step 6 and wrote a checkpoint at 4; attempt 2 does 5 and 6 anew.</summary>
    [Fact]
    public async Task Metrics_OfARestartedRun_ReadAsOneHistory()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().With(s => s.Restarts.InitialBackoff = new Duration()));
        await cluster.RunAsync(job);
        await ReportAsync(1, 2, [1, 2, 3, 4, 5, 6], 1);
        await cluster.Get<CheckpointStore>().CommitAsync(cluster.Credential(job, 1), new CheckpointManifest { Step = 4 }, 1, Token);
        await node.ExitAsync(job, 1, 0, exitCode: 1);
        await cluster.RunAsync(job);
        cluster.Agents.Launches[^1].Request.ResumeCheckpointId.ShouldBe(
            (await cluster.Get<CheckpointQueries>().ListAsync(job, 100, Token)).Single().Id);

        (await ReadAsync()).Select(p => (p.Step, p.Value))
            .ShouldBe([(1L, 1d), (2, 1), (3, 1), (4, 1)], "what is to be done anew does not count");
        await ReportAsync(2, 2, [5], 2);
        (await ReadAsync()).Select(p => (p.Step, p.Value)).ShouldBe([(1L, 1d), (2, 1), (3, 1), (4, 1), (5, 2)]);
        (await cluster.Get<MetricStore>().ReadAsync(job, [], 3, 0, Token).SingleAsync(Token)).Points.Select(p => p.Step).ShouldBe([4L, 5]);
        (await cluster.Get<MetricStore>().ReadAsync(job, ["other"], 0, 0, Token).ToListAsync(Token)).ShouldBeEmpty();

        Task ReportAsync(int attempt, int sequence, int[] steps, double value) => cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, attempt),
            new ReportRequest
            {
                Sequence = sequence,
                Points = { steps.Select(s => new MetricPoint { Name = "train/loss", Step = s, Value = value }) },
            }, Token);

        async Task<IReadOnlyList<MetricPoint>> ReadAsync() =>
            (await cluster.Get<MetricStore>().ReadAsync(job, ["train/loss"], 0, 0, Token).SingleAsync(Token)).Points;
    }

    [Fact]
    public async Task Metrics_ReadOnFromTheCursor_AreThoseThatArrivedSince()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var point = new MetricPoint
        {
            Name = "train/loss",
            Step = 1,
            Epoch = 1,
            Value = double.NaN,
            Time = Timestamp.FromDateTimeOffset(cluster.Time.GetUtcNow()),
        };
        await cluster.Get<AttemptReports>()
            .ReportAsync(cluster.Credential(job, 1), new ReportRequest { Sequence = 2, Points = { point } }, Token);

        var first = await cluster.Get<MetricStore>().ReadAsync(job, [], 0, 0, Token).SingleAsync(Token);
        var nothing = await cluster.Get<MetricStore>().ReadAsync(job, [], 0, first.Cursor, Token).ToListAsync(Token);
        await cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, 1), new ReportRequest { Sequence = 3, Points = { new MetricPoint { Name = "a", Step = 1 } } }, Token);
        var second = await cluster.Get<MetricStore>().ReadAsync(job, [], 0, first.Cursor, Token).SingleAsync(Token);

        first.Points.ShouldHaveSingleItem().ShouldBe(point);
        nothing.ShouldBeEmpty();
        second.Points.ShouldHaveSingleItem().Name.ShouldBe("a");
    }

    private static Task<long> VersionAsync(TestCluster cluster) => ScalarAsync(cluster, "select version from jobs");

    private static Task<long> CountAsync(TestCluster cluster, string table) => ScalarAsync(cluster, $"select count(*) from {table}");

    private static Task<long> ScalarAsync(TestCluster cluster, string sql) =>
        cluster.Get<ClusterDatabase>().RunAsync(async (connection, token) =>
        {
            await using var command = new Npgsql.NpgsqlCommand(sql, connection);
            return (long)(await command.ExecuteScalarAsync(token))!;
        }, Token);
}

public sealed class RendezvousTests(PostgresServer postgres)
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Join_AnswersAllRanks_OnceTheLastHasPosted()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 3);
        var job = await cluster.SubmitAsync(AJob().WithDevices(3));
        await cluster.ReconcileAsync();

        var two = JoinAsync(cluster, job, 2);
        var zero = JoinAsync(cluster, job, 0);
        await Task.WhenAny(zero, two, cluster.Get<ClusterDatabase>().RunAsync((_, _) => Task.FromResult(true), Token));
        (zero.IsCompleted || two.IsCompleted).ShouldBeFalse();
        var one = JoinAsync(cluster, job, 1);

        foreach (var endpoints in await Task.WhenAll(zero, one, two))
        {
            endpoints.Select(e => (e.Rank, e.Address)).ShouldBe([(0, "host:0"), (1, "host:1"), (2, "host:2")]);
            endpoints.ShouldAllBe(e => e.NodeName == "node-a");
        }
    }

    [Fact]
    public async Task Posts_WakeTheOthersOnlyWithTheLast()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.ReconcileAsync();
        using var subscription = cluster.Get<JobFeed>().Subscribe(job, JobChange.All);

        await cluster.Get<Rendezvous>().JoinAsync(cluster.Credential(job, 1, 0), Request(0), TimeSpan.Zero, Token);
        var waiting = subscription.WaitAsync(Long, Token);
        waiting.IsCompleted.ShouldBeFalse();
        await JoinAsync(cluster, job, 1);

        await waiting;
    }

    [Fact]
    public async Task Join_AfterASchedulerRestart_FindsWhatOthersPostedBefore()
    {
        await using var first = await TestCluster.StartAsync(postgres);
        await first.AddNodeAsync(devices: 2);
        var job = await first.SubmitAsync(AJob().WithDevices(2));
        await first.ReconcileAsync();
        using var broken = new CancellationTokenSource();
        var lost = first.Get<Rendezvous>().JoinAsync(first.Credential(job, 1, 0), Request(0), Long, broken.Token);
        await broken.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => lost);
        await JoinCancelledAsync(first, job, 0);
        await first.DisposeAsync();

        await using var second = await TestCluster.StartAsync(first.ConnectionString, first.Time, first.Agents);
        var one = await JoinAsync(second, job, 1);
        var zeroAgain = await JoinAsync(second, job, 0);

        one.Select(e => e.Address).ShouldBe(["host:0", "host:1"]);
        zeroAgain.ShouldBe(one);
    }

    [Fact]
    public async Task Join_OfRanksThatWait_SaysForWhomAndWhatThoseDo()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync(devices: 3);
        var job = await cluster.SubmitAsync(AJob().WithDevices(3));
        await cluster.ReconcileAsync();
        var rendezvous = cluster.Get<Rendezvous>();

        var preparing = await rendezvous.JoinAsync(
            cluster.Credential(job, 1, 1), Request(1, "reading photos: 7 entries so far"), Long, Token);
        var waiting = await rendezvous.JoinAsync(cluster.Credential(job, 1, 0), Request(0), TimeSpan.Zero, Token);
        var two = JoinAsync(cluster, job, 2);
        await JoinAsync(cluster, job, 1);
        var again = await rendezvous.JoinAsync(cluster.Credential(job, 1, 0), Request(0), TimeSpan.Zero, Token);

        preparing.ShouldBe(new RendezvousResponse());
        waiting.Endpoints.ShouldBeEmpty();
        waiting.Missing.Select(rank => (rank.Rank, rank.NodeName, rank.Preparing))
            .ShouldBe([(1, "node-a", "reading photos: 7 entries so far"), (2, "node-a", "")]);
        again.Endpoints.Select(endpoint => endpoint.Address).ShouldBe(["host:0", "host:1", "host:2"]);
        (await two).ShouldBe(again.Endpoints);
    }

    [Fact]
    public async Task Join_WhileTheAttemptEnds_IsAborted()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2);
        var job = await cluster.SubmitAsync(AJob().WithDevices(2));
        await cluster.ReconcileAsync();
        var waiting = JoinAsync(cluster, job, 0);

        await node.ExitAsync(job, 1, 1, exitCode: 1);
        await node.ExitAsync(job, 1, 0, exitCode: 1);

        await Should.ThrowAsync<AttemptFencedException>(() => waiting);
    }

    private static async Task<IReadOnlyList<RankEndpoint>> JoinAsync(TestCluster cluster, JobId job, int rank) =>
        (await cluster.Get<Rendezvous>().JoinAsync(cluster.Credential(job, 1, rank), Request(rank), Long, Token)).Endpoints;

    /// <summary>Posts, and gives up as soon as it waits.</summary>
    private static async Task JoinCancelledAsync(TestCluster cluster, JobId job, int rank)
    {
        using var giveUp = new CancellationTokenSource();
        var joining = cluster.Get<Rendezvous>().JoinAsync(cluster.Credential(job, 1, rank), Request(rank), Long, giveUp.Token);
        await Eventually.HoldsAsync(async () =>
            await TestDatabase.CountAsync(cluster, $"rendezvous_endpoints where rank = {rank}") > 0);
        await giveUp.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => joining);
    }

    private static RendezvousRequest Request(int rank, string preparing = "") =>
        new()
        {
            Name = "collectives",
            Endpoint = new RankEndpoint { Rank = rank, NodeId = "node", Address = $"host:{rank}" },
            Preparing = preparing,
        };
}
