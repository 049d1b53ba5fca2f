using System.Globalization;
using System.Net.Http.Headers;
using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Telemetry;
using Cluster.Tests.Shared;
using Grpc.Net.Client;

[assembly: AssemblyFixture(typeof(Cluster.EndToEnd.Tests.LocalCluster))]
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Cluster.EndToEnd.Tests;

/// <summary>
/// What <c>./cluster up</c> starts: Postgres, the scheduler and two workers of one device each, as processes of their own, with a
/// state folder and ports of its own. Shared by all tests, which run one after the other since the devices are few.
/// </summary>
public sealed class LocalCluster : IAsyncLifetime
{
    // As ./cluster up counts them.
    private const int PortsApart = 100;

    private readonly Dictionary<string, string> _environment = [];
    private GrpcChannel? _channel;
    private string _postgresHome = "";

    internal Collector Collector { get; private set; } = null!;

    public string State { get; } = Directory.CreateTempSubdirectory("cluster-e2e-").FullName;

    /// <summary>How many schedulers share the work.</summary>
    public int Schedulers { get; init; } = 1;

    public int Workers { get; init; } = 2;

    /// <summary>How many CPU devices each worker has.</summary>
    public int Devices { get; init; } = 1;

    /// <summary>Whether all ports speak TLS; the test's own channels do not.</summary>
    public bool IsTls { get; init; }

    /// <summary>How long a node counts as alive after its last heartbeat; the scheduler's own default unless given.</summary>
    public TimeSpan? Lease { get; init; }

    /// <summary>Called when the ports are known and nothing has started yet.</summary>
    internal Func<LocalCluster, Task> BeforeStart { get; init; } = _ => Task.CompletedTask;

    /// <summary>Of the dashboard.</summary>
    public string HttpAddress => $"http://127.0.0.1:{_environment["CLUSTER_HTTP_PORT"]}";

    /// <summary>Of the first scheduler.</summary>
    public string RestAddress => $"http://127.0.0.1:{_environment["CLUSTER_REST_PORT"]}";

    public string GrpcAddress => $"http://127.0.0.1:{_environment["CLUSTER_GRPC_PORT"]}";

    public string Token => File.ReadAllText(Path.Combine(State, "token")).Trim();

    /// <summary>Where clients go; the first scheduler unless given.</summary>
    public string? ClientAddress { get; set; }

    /// <summary>Of all schedulers, as <c>./cluster up</c> tells them to clients.</summary>
    public string Addresses => File.ReadAllText(Path.Combine(State, "server")).Trim();

    public JobService.JobServiceClient Jobs => new(_channel);

    public ExperimentService.ExperimentServiceClient Experiments => new(_channel);

    public RunService.RunServiceClient Runs => new(_channel);

    public NodeService.NodeServiceClient Nodes => new(_channel);

    public CheckpointService.CheckpointServiceClient Checkpoints => new(_channel);

    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        Collector = await Collector.StartAsync(cancellationToken);
        _environment["CLUSTER_PREBUILT"] = "1";
        _environment["CLUSTER_STATE"] = State;
        _environment["CLUSTER_GRPC_PORT"] = FreePort();
        _environment["CLUSTER_HTTP_PORT"] = FreePort();
        _environment["CLUSTER_REST_PORT"] = FreePort();
        _environment["CLUSTER_SILO_PORT"] = FreePort();
        _environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = Collector.Address;
        _environment["OTEL_BSP_SCHEDULE_DELAY"] = "200";
        _environment["OTEL_METRIC_EXPORT_INTERVAL"] = "500";
        // As in many offices, and nothing answers there: no part of a cluster on one machine asks a proxy for another.
        _environment["http_proxy"] = _environment["https_proxy"] = _environment["all_proxy"] = "http://127.0.0.1:9";
        // Several trainers may start at once on the few cores: what memory a job takes is then heard late, and a test wants to hear it.
        _environment["Models__ForecastPatience"] = "00:05:00";
        // Many a job fails on the few nodes here, since a test kills its trainers.
        _environment["Nodes__QuarantineAfter"] = "0";
        if (Lease is { } lease)
        {
            _environment["Nodes__LeaseDuration"] = $"{lease}";
            // As the defaults are to each other.
            _environment["Nodes__HeartbeatInterval"] = $"{lease * 0.2}";
        }

        await BeforeStart(this);
        await UpAsync(cancellationToken);
        _postgresHome = (await PostgresAsync("printf %s \"$pg_home\"", cancellationToken)).Output;
        _channel = ChannelTo(ClientAddress ?? GrpcAddress);
    }

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        (await RunAsync(["down", "--wipe"], CancellationToken.None)).MustSucceed();
        await Collector.DisposeAsync();
    }

    /// <summary>Starts what does not run.</summary>
    internal async Task UpAsync(CancellationToken cancellationToken) =>
        (await RunAsync(
            [
                "up", "--schedulers", $"{Schedulers}", "--workers", $"{Workers}", "--devices", $"{Devices}",
                .. IsTls ? ["--tls"] : Array.Empty<string>(),
            ], cancellationToken)).MustSucceed();

    /// <summary>A client's way to a scheduler, with the administrator's token.</summary>
    public GrpcChannel ChannelTo(string address) =>
        GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = new TokenHandler(Token) });

    /// <summary>As <c>./cluster up</c> calls it; the first one is 1.</summary>
    public static string Scheduler(int number) => number == 1 ? "scheduler" : $"scheduler-{number}";

    /// <summary>Where a scheduler listens for clients and agents.</summary>
    public int GrpcPort(int scheduler) => PortOf("CLUSTER_GRPC_PORT", scheduler);

    /// <summary>Where a scheduler listens for the others.</summary>
    public int SiloPort(int scheduler) => PortOf("CLUSTER_SILO_PORT", scheduler);

    /// <summary>What one service alone is told when it starts.</summary>
    public void Configure(string service, params string[] settings)
    {
        var folder = Directory.CreateDirectory(Path.Combine(State, "settings")).FullName;
        File.AppendAllLines(Path.Combine(folder, service), settings);
    }

    /// <summary><c>./cluster</c> with these arguments, against this cluster.</summary>
    internal Task<Outcome> RunAsync(IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        Shell.RunAsync(Path.Combine(Shell.Root, "cluster"), arguments, _environment, cancellationToken);

    /// <summary>Does with this cluster's Postgres what a function of <c>deploy/local/postgres.sh</c> does.</summary>
    internal async Task<Outcome> PostgresAsync(string function, CancellationToken cancellationToken)
    {
        var script = $"state=$CLUSTER_STATE; source deploy/local/messages.sh; source deploy/local/postgres.sh; {function}";
        return (await Shell.RunAsync("bash", ["-euc", script], _environment, cancellationToken)).MustSucceed();
    }

    /// <summary>Rows of its database, past the scheduler, by Postgres' own client: a line each, its columns with bars between.</summary>
    internal async Task<IReadOnlyList<string>> QueryAsync(string sql, CancellationToken cancellationToken)
    {
        await File.WriteAllTextAsync(Path.Combine(State, "query.sql"), sql, cancellationToken);
        var outcome = await PostgresAsync(
            "pg_admin -d cluster -v ON_ERROR_STOP=1 -qtA <\"$CLUSTER_STATE/query.sql\"", cancellationToken);
        return outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>What a person would look at who finds a job hanging: its rows, who waits in the database, what services wrote.</summary>
    internal async Task<string> FindingsAsync(string jobId)
    {
        const int Lines = 30;
        var stored = await QueryAsync(
            $"""
            select row_to_json(q) from job_queue q where job_id = '{jobId}';
            select time, to_state, attempt, reason from job_events where job_id = '{jobId}' order by sequence;
            select pid, application_name, state, wait_event, pg_blocking_pids(pid), now() - state_change, left(query, 200)
                from pg_stat_activity where datname = current_database() and state <> 'idle'
            """, CancellationToken.None);
        var logs = Directory.GetFiles(Path.Combine(State, "logs")).Order()
            .SelectMany(log => File.ReadLines(log).TakeLast(Lines).Prepend($"-- {Path.GetFileName(log)}"));
        return string.Join('\n', stored.Prepend(jobId).Concat(logs));
    }

    /// <summary>The process that <c>./cluster up</c> started under this name.</summary>
    public int ProcessId(string service) => int.Parse(File.ReadAllText(Path.Combine(State, "run", service + ".pid")).Trim());

    private int PortOf(string variable, int scheduler) =>
        int.Parse(_environment[variable], CultureInfo.InvariantCulture) + ((scheduler - 1) * PortsApart);

    /// <summary>The database server's first process.</summary>
    public int PostgresProcess() => int.Parse(
        File.ReadLines(Path.Combine(_postgresHome, "data", "postmaster.pid")).First(), CultureInfo.InvariantCulture);

    /// <summary>One that is free, as are those that further schedulers take above it.</summary>
    private string FreePort() => $"{FreePorts.Take(Schedulers, PortsApart)}";

    private sealed class TokenHandler(string token) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
