using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>The agent's channel to the scheduler.</summary>
internal sealed class SchedulerLink : IDisposable
{
    public static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    private readonly GrpcChannel _channel;
    private readonly Metadata _nodeHeaders;
    private readonly TimeProvider _timeProvider;

    public SchedulerLink(IOptions<AgentOptions> options, TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        if (!SchedulerAddresses.TryParse(options.Value.SchedulerAddress, out var addresses))
            throw new InvalidOperationException("Agent:SchedulerAddress has not been validated");
        // A scheduler whose machine is gone sends no FIN: the pings find out, and pending calls end as Unavailable.
        _channel = addresses.OpenChannel(new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = TimeSpan.FromSeconds(10),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            ConnectTimeout = TimeSpan.FromSeconds(5),
        });
        Registry = new AgentRegistryService.AgentRegistryServiceClient(_channel);
        Attempts = new AttemptService.AttemptServiceClient(_channel);
        _nodeHeaders = new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(File.ReadAllText(options.Value.NodeTokenFile).Trim()) } };
    }

    public AgentRegistryService.AgentRegistryServiceClient Registry { get; }

    public AttemptService.AttemptServiceClient Attempts { get; }

    /// <summary>For calls that the agent makes as a node.</summary>
    public CallOptions AsNode(CancellationToken cancellationToken) =>
        new(_nodeHeaders, (_timeProvider.GetUtcNow() + CallTimeout).UtcDateTime, cancellationToken);

    /// <summary>For calls that it relays for a rank.</summary>
    public static CallOptions AsRank(RankKey rank, string attemptSecret, DateTime? deadline, CancellationToken cancellationToken) =>
        new(rank.Headers(attemptSecret), deadline, cancellationToken);

    public void Dispose() => _channel.Dispose();
}
