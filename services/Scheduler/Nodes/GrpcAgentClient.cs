using System.Collections.Concurrent;
using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Registry;
using Polly.Retry;

namespace Cluster.Scheduler.Nodes;

/// <summary>Calls agents over gRPC, each try with a deadline, again only where the call did not get through.</summary>
public sealed partial class GrpcAgentClient : IAgentClient, IDisposable
{
    private const string RetryName = "agent";

    private readonly ConcurrentDictionary<Uri, GrpcChannel> _channels = new();
    private readonly ResiliencePipeline _retry;
    private readonly NodeOptions _options;
    private readonly CertificateFiles _certificates;
    private readonly TimeProvider _time;
    private readonly ILogger<GrpcAgentClient> _logger;

    public GrpcAgentClient(
        IOptions<NodeOptions> options, CertificateFiles certificates, ResiliencePipelineProvider<string> pipelines, TimeProvider time,
        ILogger<GrpcAgentClient> logger)
    {
        (_options, _certificates, _time, _logger) = (options.Value, certificates, time, logger);
        _retry = pipelines.GetPipeline(RetryName);
    }

    /// <summary>Registers the retry. Launch and Stop are idempotent, so a call whose answer was lost may be made again.</summary>
    public static void AddRetry(IServiceCollection services) => services.AddResiliencePipeline(RetryName, (pipeline, context) =>
    {
        var retries = context.ServiceProvider.GetRequiredService<IOptions<NodeOptions>>().Value.AgentRetries;
        pipeline.TimeProvider = context.ServiceProvider.GetRequiredService<TimeProvider>();
        if (retries == 0)
            return;
        pipeline.AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<RpcException>(e => e.Meaning() == StatusCode.Unavailable),
            MaxRetryAttempts = retries,
            Delay = TimeSpan.FromMilliseconds(200),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
        });
    });

    /// <inheritdoc/>
    public async Task<LaunchResult> LaunchAsync(AgentEndpoint agent, LaunchRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await _retry.ExecuteAsync(async token => await Client(agent).LaunchAsync(request, Options(agent, token)), cancellationToken);
            return new LaunchResult(LaunchStatus.Launched, "");
        }
        catch (RpcException failure)
        {
            LogLaunchFailed(failure, request.JobId, request.Attempt, agent.Address);
            var status = failure.StatusCode switch
            {
                StatusCode.Aborted => LaunchStatus.Closing,
                var code when IsRefusal(code) => LaunchStatus.Refused,
                _ => LaunchStatus.Unknown,
            };
            return new LaunchResult(status, Words(agent, failure));
        }
    }

    /// <inheritdoc/>
    public async Task<bool> StopAsync(AgentEndpoint agent, StopRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await _retry.ExecuteAsync(async token => await Client(agent).StopAsync(request, Options(agent, token)), cancellationToken);
            return true;
        }
        catch (RpcException failure)
        {
            LogStopFailed(failure, request.JobId, request.Attempt, agent.Address);
            return false;
        }
    }

    /// <inheritdoc/>
    public async Task<DescribeResult> DescribeAsync(
        AgentEndpoint agent, DescribeModelsRequest request, TimeSpan deadline, CancellationToken cancellationToken)
    {
        try
        {
            return DescribeResult.Of(
                await Client(agent).DescribeModelsAsync(request, Options(agent, deadline, cancellationToken)));
        }
        catch (RpcException failure)
        {
            return DescribeResult.None(Words(agent, failure));
        }
    }

    public void Dispose()
    {
        foreach (var channel in _channels.Values)
            channel.Dispose();
    }

    /// <summary>An answer of the agent itself, by which it runs nothing. Everything else leaves that open.</summary>
    private static bool IsRefusal(StatusCode status) => status is StatusCode.ResourceExhausted or StatusCode.FailedPrecondition
        or StatusCode.InvalidArgument or StatusCode.Unauthenticated or StatusCode.PermissionDenied or StatusCode.Unimplemented;

    private static string Words(AgentEndpoint agent, RpcException failure)
    {
        // Both ends watch the deadline, and which of them is the first to say that it has passed is chance: neither's words are told.
        var late = failure.StatusCode == StatusCode.DeadlineExceeded;
        var status = late || failure.Status.Detail.Length == 0 ? $"{failure.Meaning()}" : $"{failure.Meaning()}: {failure.Status.Detail}";
        // What the agent answered speaks for itself.
        return failure.Status.DebugException is null && !late
            ? status
            : $"no answer from the agent at {agent} ({status}); its node tells this address, in Agent:AdvertiseHost there";
    }

    private AgentService.AgentServiceClient Client(AgentEndpoint agent) =>
        new(_channels.GetOrAdd(
            agent.Address,
            static (address, certificates) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
            {
                HttpHandler = ConnectionPings.Prompt.Handler(address, certificates),
                DisposeHttpClient = true,
            }),
            _certificates));

    private CallOptions Options(AgentEndpoint agent, CancellationToken cancellationToken) =>
        Options(agent, _options.AgentDeadline, cancellationToken);

    private CallOptions Options(AgentEndpoint agent, TimeSpan deadline, CancellationToken cancellationToken) => new(
        new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(agent.Secret) } }, (_time.GetUtcNow() + deadline).UtcDateTime,
        cancellationToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} attempt {Attempt}: the agent at {Agent} did not launch")]
    private partial void LogLaunchFailed(Exception failure, string jobId, int attempt, Uri agent);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Job {JobId} attempt {Attempt}: the agent at {Agent} did not take the request to stop")]
    private partial void LogStopFailed(Exception failure, string jobId, int attempt, Uri agent);
}
