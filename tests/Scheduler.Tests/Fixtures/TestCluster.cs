using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Hosting;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Reconciliation;
using Cluster.Scheduler.Reports;
using Cluster.Scheduler.Retention;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Searches;
using Cluster.Scheduler.Submissions;
using Cluster.Tests.Shared;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Orleans;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>A scheduler without its API, on a real database, with agents and a clock that a test holds in its hands.</summary>
/// <remarks>The reconciler runs when the test says so, to the end of all it has to do: nothing happens behind a test's back.</remarks>
public sealed class TestCluster : IAsyncDisposable
{
    // Whole seconds: Postgres keeps microseconds, and a test compares what it gave with what it reads.
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly IHost _host;

    private TestCluster(IHost host, string connectionString, FakeTimeProvider time, FakeAgents agents) =>
        (_host, ConnectionString, Time, Agents) = (host, connectionString, time, agents);

    public string ConnectionString { get; }

    public FakeTimeProvider Time { get; }

    public FakeAgents Agents { get; }

    public IGrainFactory Grains => Get<IGrainFactory>();

    /// <summary>A scheduler on a database of its own.</summary>
    public static async Task<TestCluster> StartAsync(PostgresServer postgres, Action<IServiceCollection>? configure = null) =>
        await StartAsync(await postgres.CreateDatabaseAsync(TestContext.Current.CancellationToken), new FakeTimeProvider(Start),
            new FakeAgents(), configure);

    /// <summary>A scheduler on the database given; the clock and the agents are the world, which outlives it.</summary>
    public static async Task<TestCluster> StartAsync(
        string connectionString, FakeTimeProvider time, FakeAgents agents, Action<IServiceCollection>? configure = null)
    {
        await TestClock.InstallAsync(connectionString, time.GetUtcNow());
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Persistence:ConnectionString"] = connectionString,
            // Pauses between tries would wait for a clock that stands still.
            ["Persistence:Retries"] = "0",
            ["Silo:Port"] = FreePorts.Take().ToString(CultureInfo.InvariantCulture),
        });
        builder.Services.AddMetrics();
        builder.Services.AddSingleton<TimeProvider>(time);
        builder.Services.AddSingleton<IAgentClient>(agents);
        builder.Services.AddPersistence(builder.Configuration);
        builder.Services.AddSingleton<TokenStore>();
        builder.Services.AddCheckpoints(builder.Configuration);
        builder.Services.AddLogs(builder.Configuration);
        builder.Services.AddRuns();
        builder.Services.AddQueues();
        builder.Services.AddReports();
        builder.Services.AddJobs(builder.Configuration);
        builder.Services.AddRanks();
        builder.Services.AddExperiments();
        builder.Services.AddNodes(builder.Configuration);
        builder.Services.AddModels(builder.Configuration);
        builder.Services.AddSubmissions();
        builder.Services.AddTls(mutual: true);
        builder.Services.AddLimits();
        builder.AddSilo();
        builder.Services.AddReconciliation(builder.Configuration);
        builder.Services.AddSearches();
        builder.Services.AddAudit();
        builder.Services.AddRetention(builder.Configuration);
        foreach (var loop in new[]
        {
            typeof(JobFeedRelay), typeof(LeaseWatchService), typeof(NodeFiguresService), typeof(ReconcilerService), typeof(JanitorService),
            typeof(SearchService),
        })
            builder.Services.Remove(builder.Services.Single(s => s.ImplementationType == loop));
        configure?.Invoke(builder.Services);
        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        var cluster = new TestCluster(host, connectionString, time, agents);
        await cluster.Get<LeaseWatch>().LookAsync(TestContext.Current.CancellationToken);
        return cluster;
    }

    /// <summary>
    /// To be configured with for a second scheduler on the same database that does not find the first: then each runs every grain, as may
    /// be while membership changes.
    /// </summary>
    public static void ClusteredApart(IServiceCollection services) => services.Configure<SiloOptions>(silo => silo.ClusterId = "apart");

    /// <summary>Brings the store's clock to where the test's stands.</summary>
    public Task SetClockAsync() => TestClock.SetAsync(ConnectionString, Time.GetUtcNow());

    public async Task<object?> QueryAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionString + ";Pooling=false");
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>One look at the leases.</summary>
    public async Task LookAsync()
    {
        await SetClockAsync();
        await Get<LeaseWatch>().LookAsync(TestContext.Current.CancellationToken);
    }

    public T Get<T>() where T : notnull => _host.Services.GetRequiredService<T>();

    public IJobGrain Job(JobId id) => Grains.GetGrain<IJobGrain>(id.Value);

    public async Task<TestNode> AddNodeAsync(string name = "node-a", int devices = 1, Action<TestNode>? configure = null)
    {
        var node = new TestNode(this, name, devices);
        configure?.Invoke(node);
        await node.RegisterAsync();
        return node;
    }

    /// <summary>What a rank takes is known here: nobody is asked, and nothing is waited for.</summary>
    public async Task<JobId> SubmitAsync(
        JobSpecBuilder? job = null, string? requestId = null, bool waitForCapacity = false, long rankBytes = 0)
    {
        var spec = (job ?? JobSpecBuilder.AJob()).Build();
        var submission = JobSubmission.Of("alice", requestId ?? Guid.NewGuid().ToString(), spec, waitForCapacity, Time.GetUtcNow());
        await SubmitAsync(submission with { Memory = rankBytes == 0 ? null : new MemoryEstimate { Total = rankBytes } });
        return submission.Id;
    }

    internal async Task<bool> SubmitAsync(JobSubmission submission)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var passed = await Get<SubmissionChecks>().PassAsync(submission, cancellationToken);
        return await Get<JobIntake>().StoreAsync(
            new Submission([passed with { Memory = submission.Memory, ForecastUntil = submission.ForecastUntil }], null));
    }

    /// <summary>Runs the reconciler until nothing asks for more; what goes on is looked at as if that were due.</summary>
    public async Task ReconcileAsync()
    {
        await SetClockAsync();
        // As the watch does that was there all the time.
        await Get<LeaseWatch>().ExpireAsync(Time.GetUtcNow(), TestContext.Current.CancellationToken);
        await TestDatabase.ExecuteAsync(
            this, "update job_queue set next_due_at = '-infinity' where state in ('Starting', 'Running', 'Stopping')");
        await PassAsync();
    }

    /// <summary>The same, of what is due by the clock.</summary>
    /// <returns>When more is due.</returns>
    public async Task<DateTimeOffset?> PassAsync()
    {
        var reconciler = Get<Reconciler>();
        var signal = Get<ReconcileSignal>();
        var next = await reconciler.PassAsync(reconciler.TouchAsync, TestContext.Current.CancellationToken);
        while (signal.Requests.TryRead(out var request))
        {
            if (request is { } job)
                await reconciler.TouchAsync(job, 0);
            else
                await reconciler.PlaceAsync(reconciler.TouchAsync);
        }

        // One that a cycle has begun goes on after it.
        await Grains.GetGrain<IPlacementGrain>(0).ForecastAsync();
        return next;
    }

    /// <summary>Brings a job of <paramref name="ranks"/> ranks to where it trains.</summary>
    public async Task<int> RunAsync(JobId job, int ranks = 1)
    {
        await ReconcileAsync();
        var attempt = (await GetAsync(job)).Attempt;
        for (var rank = 0; rank < ranks; rank++)
            await Get<AttemptReports>().ReportAsync(
                Credential(job, attempt, rank), new ReportRequest { Sequence = 1, Started = true }, TestContext.Current.CancellationToken);
        (await GetAsync(job)).State.ShouldBe(JobState.Running);
        return attempt;
    }

    public AttemptCredential Credential(JobId job, int attempt, int rank = 0) =>
        AttemptCredential.Of(job, attempt, rank, Agents.SecretOf(job.ToString(), attempt));

    public async Task<Job> GetAsync(JobId job) =>
        await Get<JobQueries>().GetAsync(job, TestContext.Current.CancellationToken)
        ?? throw new InvalidOperationException($"no job {job}");

    public async Task<IReadOnlyList<JobState>> StatesAsync(JobId job) =>
        [.. (await Get<JobQueries>().EventsAsync(job, 0, TestContext.Current.CancellationToken)).Select(e => e.ToState)];

    /// <summary>The process ends; what is in Postgres stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}
