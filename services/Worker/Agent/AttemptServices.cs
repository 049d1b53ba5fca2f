using Cluster.Worker.Devices;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>What every attempt on this node shares.</summary>
internal sealed class AttemptServices(
    IOptions<AgentOptions> options, AgentIdentity identity, SchedulerLink scheduler, SchedulerRetry retry, TrainerNotes notes,
    DataOffer data, MachineMemory memory, TimeProvider timeProvider, ILogger<LocalAttempt> logger) : IDisposable
{
    private readonly CancellationTokenSource _agentEnds = new();

    public AgentOptions Options => options.Value;

    public AgentIdentity Identity => identity;

    public SchedulerLink Scheduler => scheduler;

    public SchedulerRetry Retry => retry;

    public TrainerNotes Notes => notes;

    public DataOffer Data => data;

    public MachineMemory Memory => memory;

    public TimeProvider TimeProvider => timeProvider;

    public ILogger Logger => logger;

    /// <summary>By when the scheduler must have answered a call that it answers at once.</summary>
    public DateTime CallDeadline() => (timeProvider.GetUtcNow() + SchedulerLink.CallTimeout).UtcDateTime;

    /// <summary>Cancelled when the agent can wait no longer for the scheduler.</summary>
    public CancellationToken AgentEnds => _agentEnds.Token;

    public Task EndAsync() => _agentEnds.CancelAsync();

    public void Dispose() => _agentEnds.Dispose();
}
