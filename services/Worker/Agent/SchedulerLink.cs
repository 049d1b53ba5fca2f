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
    private readonly NodeToken _token;
    private readonly AgentIdentity _identity;
    private readonly TimeProvider _timeProvider;

    public SchedulerLink(
        IOptions<AgentOptions> options, NodeToken token, AgentIdentity identity, CertificateFiles certificates, TimeProvider timeProvider)
    {
        (_token, _identity, _timeProvider) = (token, identity, timeProvider);
        if (!SchedulerAddresses.TryParse(options.Value.SchedulerAddress, out var addresses))
            throw new InvalidOperationException("Agent:SchedulerAddress has not been validated");
        // Two connections: a heartbeat stands behind no checkpoint on a slow line, and neither do the pings by which a dead connection is
        // found out before the lease has run out over it.
        _registryChannel = addresses.OpenChannel(ConnectionPings.Prompt, certificates);
        _attemptsChannel = addresses.OpenChannel(
            new ConnectionPings(options.Value.PingDelay, options.Value.PingTimeout), certificates);
        Registry = new AgentRegistryService.AgentRegistryServiceClient(_registryChannel);
        Attempts = new AttemptService.AttemptServiceClient(_attemptsChannel);
    }

    public AgentRegistryService.AgentRegistryServiceClient Registry { get; }

    public AttemptService.AttemptServiceClient Attempts { get; }

    /// <summary>For calls that the agent makes as a node.</summary>
    public CallOptions AsNode(CancellationToken cancellationToken) => AsNode(CallTimeout, cancellationToken);

    /// <inheritdoc cref="AsNode(CancellationToken)"/>
    public CallOptions AsNode(TimeSpan timeout, CancellationToken cancellationToken) =>
        With(_token.Text, timeout, cancellationToken);

    /// <summary>Has the scheduler know this node's own token, if it does not yet.</summary>
    /// <param name="retry">By which the call outlasts a scheduler that is away.</param>
    public async Task EnsureEnrolledAsync(SchedulerRetry retry, CancellationToken cancellationToken)
    {
        if (_token.IsEnrolled)
            return;
        var code = _token.ReadCode();
        await retry.UntilAcknowledgedAsync(
            "Enroll", async token => await Registry.EnrollAsync(_token.Request(_identity), With(code, CallTimeout, token)),
            cancellationToken);
        _token.Enrolled();
    }

    /// <summary>For calls that it relays for a rank.</summary>
    public static CallOptions AsRank(RankKey rank, string attemptSecret, DateTime? deadline, CancellationToken cancellationToken) =>
        new(rank.Headers(attemptSecret), deadline, cancellationToken);

    private CallOptions With(string token, TimeSpan timeout, CancellationToken cancellationToken) => new(
        new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(token) } }, (_timeProvider.GetUtcNow() + timeout).UtcDateTime,
        cancellationToken);

    public void Dispose()
    {
        _registryChannel.Dispose();
        _attemptsChannel.Dispose();
    }
}
