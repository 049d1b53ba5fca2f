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
    private readonly Dictionary<string, string> _environment = [];
    private GrpcChannel? _channel;

    internal Collector Collector { get; private set; } = null!;

    public string State { get; } = Directory.CreateTempSubdirectory("cluster-e2e-").FullName;

    /// <summary>How many schedulers share the work.</summary>
    public int Schedulers { get; init; } = 1;

    public string HttpAddress => $"http://127.0.0.1:{_environment["CLUSTER_HTTP_PORT"]}";

    public string GrpcAddress => $"http://127.0.0.1:{_environment["CLUSTER_GRPC_PORT"]}";

    public string Token => File.ReadAllText(Path.Combine(State, "token")).Trim();

    public JobService.JobServiceClient Jobs => new(_channel);

    public ExperimentService.ExperimentServiceClient Experiments => new(_channel);

    public RunService.RunServiceClient Runs => new(_channel);

    public NodeService.NodeServiceClient Nodes => new(_channel);

    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        Collector = await Collector.StartAsync(cancellationToken);
        _environment["CLUSTER_PREBUILT"] = "1";
        _environment["CLUSTER_STATE"] = State;
        _environment["CLUSTER_GRPC_PORT"] = FreePort();
        _environment["CLUSTER_HTTP_PORT"] = FreePort();
        _environment["CLUSTER_SILO_PORT"] = FreePort();
        _environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = Collector.Address;
        _environment["OTEL_BSP_SCHEDULE_DELAY"] = "200";
        _environment["OTEL_METRIC_EXPORT_INTERVAL"] = "500";
        // As in many offices, and nothing answers there: no part of a cluster on one machine asks a proxy for another.
        _environment["http_proxy"] = _environment["https_proxy"] = _environment["all_proxy"] = "http://127.0.0.1:9";
        // Several trainers may start at once on the few cores: what memory a job takes is then heard late, and a test wants to hear it.
        _environment["Models__ForecastPatience"] = "00:05:00";
        (await RunAsync(["up", "--schedulers", $"{Schedulers}"], cancellationToken)).MustSucceed();
        _channel = GrpcChannel.ForAddress(GrpcAddress, new GrpcChannelOptions { HttpHandler = new TokenHandler(Token) });
    }

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        (await RunAsync(["down", "--wipe"], CancellationToken.None)).MustSucceed();
        await Collector.DisposeAsync();
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

    /// <summary>The process that <c>./cluster up</c> started under this name.</summary>
    public int ProcessId(string service) => int.Parse(File.ReadAllText(Path.Combine(State, "run", service + ".pid")).Trim());

    /// <summary>One that is free, as are those that further schedulers take above it.</summary>
    private string FreePort() => $"{FreePorts.Take(Schedulers, apart: 100)}";

    private sealed class TokenHandler(string token) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
