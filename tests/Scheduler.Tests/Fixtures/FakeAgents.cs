using System.Collections.Concurrent;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Nodes;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>The agents at the other end of the network: they note what they are asked, and answer as a test wants.</summary>
public sealed class FakeAgents : IAgentClient
{
    private readonly ConcurrentQueue<(Uri Agent, LaunchRequest Request)> _launches = new();
    private readonly ConcurrentQueue<(Uri Agent, StopRequest Request)> _stops = new();
    private readonly ConcurrentQueue<DescribeModelsRequest> _descriptions = new();

    public IReadOnlyList<(Uri Agent, LaunchRequest Request)> Launches => [.. _launches];

    public IReadOnlyList<(Uri Agent, StopRequest Request)> Stops => [.. _stops];

    /// <summary>How an agent answers a launch; by default it starts.</summary>
    public Func<AgentEndpoint, LaunchRequest, Task<LaunchResult>> OnLaunch { get; set; } =
        (_, _) => Task.FromResult(new LaunchResult(LaunchStatus.Launched, ""));

    public Func<AgentEndpoint, StopRequest, Task<bool>> OnStop { get; set; } = (_, _) => Task.FromResult(true);

    /// <summary>How an agent answers a question about models; by default it has no answer.</summary>
    public Func<AgentEndpoint, DescribeModelsRequest, Task<DescribeResult>> OnDescribe { get; set; } =
        (_, _) => Task.FromResult(DescribeResult.None("a test's agent builds no models"));

    public IReadOnlyList<DescribeModelsRequest> Descriptions => [.. _descriptions];

    /// <summary>The secret that the launched attempt's trainers present.</summary>
    public string SecretOf(string job, int attempt) =>
        _launches.Last(l => l.Request.JobId == job && l.Request.Attempt == attempt).Request.AttemptSecret;

    public Task<LaunchResult> LaunchAsync(AgentEndpoint agent, LaunchRequest request, CancellationToken cancellationToken)
    {
        _launches.Enqueue((agent.Address, request));
        return OnLaunch(agent, request);
    }

    public Task<bool> StopAsync(AgentEndpoint agent, StopRequest request, CancellationToken cancellationToken)
    {
        _stops.Enqueue((agent.Address, request));
        return OnStop(agent, request);
    }

    public Task<DescribeResult> DescribeAsync(
        AgentEndpoint agent, DescribeModelsRequest request, TimeSpan deadline, CancellationToken cancellationToken)
    {
        _descriptions.Enqueue(request);
        return OnDescribe(agent, request);
    }
}
