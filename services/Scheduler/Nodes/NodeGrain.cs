using System.Collections.Immutable;
using System.Net;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <inheritdoc cref="INodeGrain"/>
internal sealed partial class NodeGrain(
    NodeStore store, IAgentClient agents, ReconcileSignal signal, JobFeed feed, IOptions<NodeOptions> options, ILogger<NodeGrain> logger)
    : Grain, INodeGrain
{
    // Past this many heartbeats nobody asks about a stopped attempt any more.
    private const int ForgetStopAfter = 100;

    private const string NotRegistered = "the agent has not registered since the scheduler started";

    private readonly Dictionary<AttemptKey, int> _absentSinceStop = [];
    private Connection? _connection;

    private NodeId Id => new(this.GetPrimaryKey());

    /// <inheritdoc/>
    public async Task<LeaseGrant> RegisterAsync(NodeRegistration registration)
    {
        var endpoint = new AgentEndpoint(AddressOf(registration), registration.AgentSecret);
        var before = await store.LoadAsync(Id, CancellationToken.None);
        var stale = await store.StaleAsync(Id, registration.Incarnation, registration.Running, CancellationToken.None);
        await store.RegisterAsync(Id, registration, options.Value.LeaseDuration, clean: stale.Count == 0, CancellationToken.None);
        _connection = new Connection(endpoint, registration.Incarnation);
        _absentSinceStop.Clear();
        if (before is null || before.Incarnation != registration.Incarnation || before.State == NodeState.Lost)
        {
            LogRegistered(Id, registration.Name, registration.Devices.Length, stale.Count);
            if (await store.NamesakesAsync(Id, registration.Name, CancellationToken.None) > 0)
                LogNamesake(Id, registration.Name);
            await TouchHoldersAsync();
        }

        signal.Place();
        feed.PublishAgent();
        return new LeaseGrant(options.Value.LeaseDuration, options.Value.HeartbeatInterval, [.. stale]);
    }

    /// <inheritdoc/>
    public async Task<HeartbeatResult> HeartbeatAsync(NodeHeartbeat heartbeat)
    {
        if (_connection?.Incarnation != heartbeat.Incarnation)
            return HeartbeatResult.Declined(HeartbeatStatus.Unknown);
        var stale = await store.StaleAsync(Id, heartbeat.Incarnation, heartbeat.Running, CancellationToken.None);
        // A node that shuts down keeps its lease while its trainers write their last checkpoint, but offers nothing.
        var clean = stale.Count == 0 && !heartbeat.ShuttingDown;
        NoteAbsence(heartbeat.Running);
        if (heartbeat.KnownClean != clean)
        {
            await store.SetCleanAsync(Id, heartbeat.Incarnation, clean, CancellationToken.None);
            if (clean)
                signal.Place();
        }

        return new HeartbeatResult(HeartbeatStatus.Renewed, options.Value.LeaseDuration, [.. stale]);
    }

    /// <inheritdoc/>
    public async Task<LaunchResult> LaunchAsync(LaunchOrder order)
    {
        if (_connection is not { } connection)
            return new LaunchResult(LaunchStatus.NotConnected, NotRegistered);
        var result = await agents.LaunchAsync(connection.Endpoint, order.Read(), CancellationToken.None);
        // What its next heartbeat is going to say: until then the job would be placed there again and again.
        if (result.Status == LaunchStatus.Closing)
            await store.SetCleanAsync(Id, connection.Incarnation, clean: false, CancellationToken.None);
        return result;
    }

    /// <inheritdoc/>
    public async Task<StopResult> StopAsync(StopOrder order)
    {
        // Asked once: a second request could begin the grace period anew.
        if (_absentSinceStop.TryGetValue(order.Attempt, out var absent))
            return new StopResult(true, absent);
        if (_connection is not { } connection)
            return new StopResult(false, 0);
        var request = new StopRequest
        {
            JobId = order.Attempt.Job.ToString(),
            Attempt = order.Attempt.Attempt,
            Grace = Duration.FromTimeSpan(order.Grace),
            Reason = order.Reason,
        };
        if (!await agents.StopAsync(connection.Endpoint, request, CancellationToken.None))
            return new StopResult(false, 0);
        _absentSinceStop.TryAdd(order.Attempt, 0);
        return new StopResult(true, 0);
    }

    /// <inheritdoc/>
    public async Task<DescribeResult> DescribeAsync(DescribeOrder order) =>
        _connection is { } connection
            ? await agents.DescribeAsync(connection.Endpoint, order.Read(), order.Deadline, CancellationToken.None)
            : DescribeResult.None(NotRegistered) with { NotConnected = true };

    private static Uri AddressOf(NodeRegistration registration) =>
        Uri.TryCreate(registration.AgentAddress, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            && !(IPAddress.TryParse(address.DnsSafeHost, out var host) && host.IsWildcard())
            ? address
            : throw new InvalidRegistrationException(
                $"agent_address is '{registration.AgentAddress}', which is no http address such as http://10.0.0.7:7071");

    private void NoteAbsence(ImmutableArray<AttemptKey> running)
    {
        foreach (var (attempt, absent) in _absentSinceStop.ToList())
        {
            if (absent >= ForgetStopAfter)
                _absentSinceStop.Remove(attempt);
            else
                _absentSinceStop[attempt] = running.Contains(attempt) ? 0 : absent + 1;
        }
    }

    private async Task TouchHoldersAsync()
    {
        foreach (var job in await store.HoldersAsync(Id, CancellationToken.None))
            signal.Touch(job);
    }

    [LoggerMessage(Level = LogLevel.Information,
        Message = "Node {NodeId} ({Name}) registered; devices: {Devices}, stale attempts: {Stale}")]
    private partial void LogRegistered(NodeId nodeId, string name, int devices, int stale);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Node {NodeId} has the name {Name}, as another node that has not lost its lease. If that is this machine before "
            + "its disk was emptied, it is forgotten when its lease runs out; if both live, give one another Agent:Name")]
    private partial void LogNamesake(NodeId nodeId, string name);

    private sealed record Connection(AgentEndpoint Endpoint, string Incarnation);
}
