using System.Reflection;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>Keeps this node known to the scheduler: registers, renews the lease, and ends what the scheduler no longer counts.</summary>
/// <remarks>
/// An agent that cannot renew its lease ends nothing by itself: it cannot tell a lost lease from a scheduler that is away, which costs no
/// node its lease. It need not either. What its trainers send is refused once their attempt is over, and their devices are not granted
/// again before this agent has registered anew, been told which attempts are stale, and reported without them. Where no scheduler comes
/// back, <see cref="AgentOptions.OutageLimit"/> ends the trainers.
/// </remarks>
internal sealed partial class NodeRegistration(
    IOptions<AgentOptions> options, AgentIdentity identity, NodeDevices devices, AgentEndpoints endpoints, AttemptTable attempts,
    DataOffer data, SchedulerLink scheduler, SchedulerRetry retry, TimeProvider timeProvider, IHostApplicationLifetime lifetime,
    AgentExit exit, ILogger<NodeRegistration> logger) : BackgroundService
{
    // Three tries fall into a lease: one that gets no answer leaves time for others, at another scheduler where there are several.
    private const int TriesInALease = 3;

    // Where the scheduler does not say.
    private static readonly TimeSpan DefaultHeartbeatInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DefaultLease = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await lifetime.ApplicationStarted.WaitAsync(stoppingToken);
        try
        {
            await scheduler.EnsureEnrolledAsync(retry, stoppingToken);
            while (true)
            {
                var registered = await RegisterAsync(stoppingToken);
                await RenewUntilForgottenAsync(
                    Given(registered.HeartbeatInterval) ?? DefaultHeartbeatInterval, Given(registered.LeaseDuration) ?? DefaultLease,
                    stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The agent ends; its lease does so by itself.
        }
        catch (RpcException e) when (!stoppingToken.IsCancellationRequested)
        {
            LogRefused(e.Status.StatusCode, e.Status.Detail);
            exit.Fail();
        }
    }

    private async Task<RegisterResponse> RegisterAsync(CancellationToken cancellationToken)
    {
        var response = await data.RegisterAsync(
            dataSets => retry.UntilAcknowledgedAsync(
                "Register",
                async token => await scheduler.Registry.RegisterAsync(Request(dataSets), scheduler.AsNode(token)), cancellationToken),
            cancellationToken);
        LogRegistered(options.Value.Name, identity.NodeId, devices.All.Count);
        attempts.EndStale(response.Stale);
        return response;
    }

    private static TimeSpan? Given(Duration? duration) => duration?.ToTimeSpan() is { Ticks: > 0 } given ? given : null;

    private async Task RenewUntilForgottenAsync(TimeSpan interval, TimeSpan lease, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(interval, timeProvider);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            try
            {
                var response = await retry.UntilAcknowledgedAsync(
                    "Heartbeat",
                    async token => await scheduler.Registry.HeartbeatAsync(Heartbeat(), scheduler.AsNode(lease / TriesInALease, token)),
                    cancellationToken);
                attempts.EndStale(response.Stale);
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
            {
                LogForgotten();
                return;
            }
        }
    }

    private RegisterRequest Request(IReadOnlyList<string> dataSets) => new()
    {
        NodeId = identity.NodeId.ToString(),
        Name = options.Value.Name,
        AgentAddress = endpoints.AgentAddress(),
        AgentSecret = identity.Secret,
        Incarnation = identity.Incarnation,
        Devices = { devices.All },
        Labels = { options.Value.Labels },
        DataSets = { dataSets },
        AgentVersion = Version(),
        Running = { attempts.Running },
    };

    private HeartbeatRequest Heartbeat() => new()
    {
        NodeId = identity.NodeId.ToString(),
        Incarnation = identity.Incarnation,
        Running = { attempts.Running },
        Devices = { devices.Measure(attempts.ProcessOn) },
        ShuttingDown = attempts.IsClosed,
    };

    private static string Version() =>
        typeof(NodeRegistration).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    [LoggerMessage(Level = LogLevel.Information, Message = "Registered as {Name}, node {NodeId}; devices: {Devices}")]
    private partial void LogRegistered(string name, Contracts.NodeId nodeId, int devices);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The scheduler does not know this node any more; registering again")]
    private partial void LogForgotten();

    [LoggerMessage(Level = LogLevel.Critical,
        Message = "The scheduler refuses this node ({Status}: {Detail}). Unauthenticated: check Agent:NodeTokenFile, or enroll "
            + "the node again with Agent:EnrollmentCodeFile and without node-token in Agent:StateFolder. FailedPrecondition: "
            + "another agent runs with a copy of Agent:StateFolder")]
    private partial void LogRefused(StatusCode status, string detail);
}

/// <summary>Ends the agent because it cannot work, so that whoever started it sees a failure.</summary>
internal sealed class AgentExit(IHostApplicationLifetime lifetime)
{
    /// <summary>What the process will exit with.</summary>
    public int Code { get; private set; }

    public void Fail()
    {
        Code = 1;
        lifetime.StopApplication();
    }
}
