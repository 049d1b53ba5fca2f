using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>The agent's ways to the scheduler: one for what it says as a node, one for what it relays for its trainers.</summary>
internal sealed class SchedulerLink : IDisposable
{
    public static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    private readonly SchedulerChannel _registryChannel;
    private readonly SchedulerChannel _attemptsChannel;
    private readonly Metadata _nodeHeaders;
    private readonly TimeProvider _timeProvider;

    public SchedulerLink(IOptions<AgentOptions> options, CertificateFiles certificates, TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        if (!SchedulerAddresses.TryParse(options.Value.SchedulerAddress, out var addresses))
            throw new InvalidOperationException("Agent:SchedulerAddress has not been validated");
        // Two connections: a heartbeat stands behind no checkpoint on a slow line, and neither do the pings by which a dead connection is
        // found out before the lease has run out over it.
        _registryChannel = addresses.OpenChannel(ConnectionPings.Prompt, certificates);
        _attemptsChannel = addresses.OpenChannel(
            new ConnectionPings(options.Value.PingDelay, options.Value.PingTimeout), certificates);
        Registry = new AgentRegistryService.AgentRegistryServiceClient(_registryChannel);
        Attempts = new AttemptService.AttemptServiceClient(_attemptsChannel);
        _nodeHeaders = new Metadata
        {
            { CallMetadata.Authorization, CallMetadata.Bearer(File.ReadAllText(options.Value.NodeTokenFile).Trim()) },
        };
    }

    public AgentRegistryService.AgentRegistryServiceClient Registry { get; }

    public AttemptService.AttemptServiceClient Attempts { get; }

    /// <summary>For calls that the agent makes as a node.</summary>
    public CallOptions AsNode(CancellationToken cancellationToken) => AsNode(CallTimeout, cancellationToken);

    /// <inheritdoc cref="AsNode(CancellationToken)"/>
    public CallOptions AsNode(TimeSpan timeout, CancellationToken cancellationToken) =>
        new(_nodeHeaders, (_timeProvider.GetUtcNow() + timeout).UtcDateTime, cancellationToken);

    /// <summary>For calls that it relays for a rank.</summary>
    public static CallOptions AsRank(RankKey rank, string attemptSecret, DateTime? deadline, CancellationToken cancellationToken) =>
        new(rank.Headers(attemptSecret), deadline, cancellationToken);

    public void Dispose()
    {
        _registryChannel.Dispose();
        _attemptsChannel.Dispose();
    }
}
