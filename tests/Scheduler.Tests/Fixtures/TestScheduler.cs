using System.Collections.Concurrent;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Nodes;
using Cluster.Tests.Shared;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>The whole scheduler as its program makes it, on ports and a database of its own; only the agents are not real.</summary>
public sealed class TestScheduler : IAsyncDisposable
{
    public const string AdminToken = "the-administrators-token";
    public const string NodeToken = "the-token-of-all-nodes";
    public const string ViewerToken = "vera-may-view-everything";
    public const string SubmitterToken = "alice-submits-her-own-jobs";
    public const string OtherSubmitterToken = "bob-submits-other-jobs";
    public const string OperatorToken = "olga-operates-the-cluster";

    // Those of the searches and the webhooks.
    private const int OwnWatchers = 2;

    private readonly ConcurrentDictionary<(string Job, int Attempt), TaskCompletionSource<LaunchRequest>> _launches = new();
    private readonly string _folder;
    private WebApplication? _app;
    private int _nodes;

    private TestScheduler(string connectionString, string folder) => (ConnectionString, _folder) = (connectionString, folder);

    public string ConnectionString { get; }

    public CapturedLog Log { get; } = new();

    public FakeAgents Agents { get; } = new();

    public GrpcChannel Channel { get; private set; } = null!;

    public int GrpcPort { get; private set; }

    public Uri HttpAddress { get; private set; } = null!;

    public IServiceProvider Services => _app!.Services;

    public static async Task<TestScheduler> StartAsync(PostgresServer postgres, params (string Setting, string Value)[] settings)
    {
        var folder = Directory.CreateTempSubdirectory("cluster-tests-access-").FullName;
        var scheduler = new TestScheduler(await postgres.CreateDatabaseAsync(TestContext.Current.CancellationToken), folder);
        try
        {
            await scheduler.StartAsync(settings);
            return scheduler;
        }
        catch
        {
            await scheduler.DisposeAsync();
            throw;
        }
    }

    /// <summary>How many calls wait for what becomes of jobs.</summary>
    public int Watchers => Get<JobFeed>().Subscriptions - OwnWatchers;

    public T Get<T>() where T : notnull => Services.GetRequiredService<T>();

    public JobService.JobServiceClient Jobs(string token = SubmitterToken) => new(As(token));

    public ExperimentService.ExperimentServiceClient Experiments(string token = SubmitterToken) => new(As(token));

    public RunService.RunServiceClient Runs(string token = ViewerToken) => new(As(token));

    public NodeService.NodeServiceClient Nodes(string token = ViewerToken) => new(As(token));

    public TokenService.TokenServiceClient Tokens(string token = AdminToken) => new(As(token));

    public WorkspaceService.WorkspaceServiceClient Workspaces(string token = AdminToken) => new(As(token));

    public CheckpointService.CheckpointServiceClient Checkpoints(string token) => new(As(token));

    public AuditService.AuditServiceClient Audit(string token = AdminToken) => new(As(token));

    public WebhookService.WebhookServiceClient Webhooks(string token) => new(As(token));

    public AgentRegistryService.AgentRegistryServiceClient Registry(string token = NodeToken) => new(As(token));

    /// <summary>A browser: it keeps cookies, and follows nothing by itself.</summary>
    public HttpClient Browser() => new(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = HttpAddress };

    /// <summary>A node that only jobs with the label <c>only=name</c> are meant for.</summary>
    public async Task<RegisterRequest> AddNodeAsync(string name, int devices = 1)
    {
        var node = new RegisterRequest
        {
            NodeId = Guid.NewGuid().ToString(),
            Name = name,
            // No two nodes are reached at one address, also where they have one name.
            AgentAddress = $"http://{name}-{Interlocked.Increment(ref _nodes)}:7071",
            AgentSecret = "agent secret",
            Incarnation = Guid.NewGuid().ToString(),
            AgentVersion = "test",
            Labels = { ["only"] = name },
            DataSets = { "fashion-mnist" },
            Devices =
            {
                Enumerable.Range(0, devices)
                    .Select(i => new Device { Id = $"cpu:{i}", Kind = DeviceKind.Cpu, Cores = 1, MemoryBytes = 1 << 30 }),
            },
        };
        await Registry().RegisterAsync(node);
        return node;
    }

    /// <summary>A job that waits for a node which nobody has.</summary>
    public async Task<Job> SubmitWaitingAsync(string workspace = "default", string token = SubmitterToken)
    {
        var spec = JobSpecBuilder.AJob().With(s => s.Workspace = workspace).With(s => s.Resources.NodeLabels["only"] = "nowhere").Build();
        var request = new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Spec = spec, WaitForCapacity = true };
        return (await Jobs(token).SubmitJobAsync(request)).Job;
    }

    /// <summary>A job of one rank that trains on a node of its own.</summary>
    public async Task<TestTrainer> RunAsync(string node)
    {
        var registration = await AddNodeAsync(node);
        var spec = JobSpecBuilder.AJob().With(s => s.Resources.NodeLabels["only"] = node)
            .With(s => s.Restarts.InitialBackoff = new Duration()).Build();
        var job = (await Jobs().SubmitJobAsync(new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Spec = spec })).Job;
        return await TrainAsync(registration, job.Id, attempt: 1);
    }

    /// <summary>An experiment of such jobs, one for each activation.</summary>
    public async Task<(string Id, IReadOnlyList<TestTrainer> Trainers)> RunExperimentAsync(
        string node, string activations = "[relu]", string workspace = "default")
    {
        var registration = await AddNodeAsync(node, devices: activations.Split(',').Length);
        var yaml = $$"""
            model: fourlayer_cnn
            data: fashion-mnist
            workspace: {{workspace}}
            resources: {devices: 1, deviceKind: cpu, nodeLabels: {only: "{{node}}" } }
            matrix: {model.options.activation: {{activations}} }
            """;
        var submitted = await Experiments()
            .SubmitExperimentAsync(new SubmitExperimentRequest { RequestId = Guid.NewGuid().ToString(), Yaml = yaml });
        return (submitted.Experiment.Id, await Task.WhenAll(submitted.Jobs.Select(job => TrainAsync(registration, job.Id, attempt: 1))));
    }

    internal async Task<TestTrainer> TrainAsync(RegisterRequest node, string job, int attempt)
    {
        var launch = await Launch(job, attempt).Task.WaitAsync(TestContext.Current.CancellationToken);
        var trainer = new TestTrainer(this, node, job, attempt, launch.AttemptSecret);
        await trainer.ReportAsync(new ReportRequest { Started = true });
        return trainer;
    }

    /// <summary>A token of the test's own making, which the scheduler knows when this returns.</summary>
    public async Task<Guid> AddTokenAsync(
        string token, string owner, Scope scope, DateTimeOffset? expiresAt = null, Guid? node = null, string name = "test",
        string[]? workspaces = null)
    {
        var row = new TokenRow
        {
            Hash = AccessSecret.Hash(token),
            Id = Guid.NewGuid(),
            Name = name,
            Owner = owner,
            Scope = scope,
            CreatedAt = DateTimeOffset.UtcNow,
            CreatedBy = "test",
            ExpiresAt = expiresAt,
            NodeId = node,
            Workspaces = workspaces,
        };
        await Get<TokenStore>().AddAsync(row, TestContext.Current.CancellationToken);
        await Get<TokenRegister>().LoadAsync(TestContext.Current.CancellationToken);
        return row.Id;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionString + ";Pooling=false");
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    public async Task<object?> QueryAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionString + ";Pooling=false");
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
    }

    public CallInvoker As(string token) =>
        new WithMetadata(Channel.CreateCallInvoker(), new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(token) } });

    public Task StopAsync() => _app!.StopAsync();

    public async ValueTask DisposeAsync()
    {
        Channel?.Dispose();
        if (_app is not null)
        {
            // One that was refused its settings never started.
            if (Channel is not null)
                await _app.StopAsync();
            await _app.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartAsync((string Setting, string Value)[] settings)
    {
        var (admin, node) = (Path.Combine(_folder, "token"), Path.Combine(_folder, "node-token"));
        await File.WriteAllTextAsync(admin, AdminToken + "\n");
        await File.WriteAllTextAsync(node, NodeToken + "\n");
        var (grpcPort, httpPort, siloPort) = (FreePorts.Take(), FreePorts.Take(), FreePorts.Take());
        var configuration = new Dictionary<string, string?>
        {
            ["Persistence:ConnectionString"] = ConnectionString,
            ["Access:AdminTokenFile"] = admin,
            ["Access:NodeTokenFile"] = node,
            ["Scheduler:GrpcPort"] = $"{grpcPort}",
            ["Scheduler:HttpPort"] = $"{httpPort}",
            ["Silo:Port"] = $"{siloPort}",
            // Nodes that a test registers stay, though nobody beats their hearts.
            ["Nodes:LeaseDuration"] = "00:10:00",
            // Tests call as fast as they can.
            ["Limits:CallBurst"] = "1000000",
            ["Limits:CallsAtOnce"] = "100000",
            ["Limits:StreamsAtOnce"] = "100000",
        };
        foreach (var (setting, value) in settings)
            configuration[setting] = value;
        Agents.OnLaunch = (_, request) =>
        {
            Launch(request.JobId, request.Attempt).TrySetResult(request);
            return Task.FromResult(new LaunchResult(LaunchStatus.Launched, ""));
        };
        // As arguments, so that they are there when the program reads them, before it is built.
        _app = Program.Build([.. configuration.Select(setting => $"--{setting.Key}={setting.Value}")], builder =>
        {
            builder.Logging.ClearProviders().AddProvider(Log);
            builder.Services.AddSingleton<IAgentClient>(Agents);
        });
        await _app.StartAsync(TestContext.Current.CancellationToken);
        await Eventually.HoldsAsync(() => Watchers == 0);
        GrpcPort = grpcPort;
        Channel = GrpcChannel.ForAddress($"http://127.0.0.1:{grpcPort}");
        HttpAddress = new Uri($"http://127.0.0.1:{httpPort}");
        await AddTokenAsync(ViewerToken, "vera", Scope.Viewer);
        await AddTokenAsync(SubmitterToken, "alice", Scope.Submitter);
        await AddTokenAsync(OtherSubmitterToken, "bob", Scope.Submitter);
        await AddTokenAsync(OperatorToken, "olga", Scope.Operator);
    }

    private TaskCompletionSource<LaunchRequest> Launch(string job, int attempt) =>
        _launches.GetOrAdd(
            (job, attempt), _ => new TaskCompletionSource<LaunchRequest>(TaskCreationOptions.RunContinuationsAsynchronously));
}

/// <summary>The one scheduler that tests share which change nothing for each other.</summary>
public sealed class SharedScheduler(PostgresServer postgres) : IAsyncLifetime
{
    public TestScheduler Scheduler { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Scheduler = await TestScheduler.StartAsync(postgres);

    public ValueTask DisposeAsync() => Scheduler?.DisposeAsync() ?? default;
}

[CollectionDefinition]
public sealed class ApiTests : ICollectionFixture<SharedScheduler>;
