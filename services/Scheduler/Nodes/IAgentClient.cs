using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Nodes;

/// <summary>Calls to worker agents: the network's edge, where tests put agents of their own.</summary>
public interface IAgentClient
{
    /// <summary>Starts ranks. Whatever happens on the way is a result, not an exception.</summary>
    Task<LaunchResult> LaunchAsync(AgentEndpoint agent, LaunchRequest request, CancellationToken cancellationToken);

    /// <summary>Asks trainers to end.</summary>
    /// <returns>Whether the agent acknowledged.</returns>
    Task<bool> StopAsync(AgentEndpoint agent, StopRequest request, CancellationToken cancellationToken);

    /// <summary>Has the node take models apart. That there is no answer is a result too.</summary>
    Task<DescribeResult> DescribeAsync(
        AgentEndpoint agent, DescribeModelsRequest request, TimeSpan deadline, CancellationToken cancellationToken);
}

/// <param name="Address">Where its AgentService listens.</param>
/// <param name="Secret">Bearer token to present there.</param>
public sealed record AgentEndpoint(Uri Address, string Secret)
{
    public override string ToString() => Address.ToString();
}
