using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Cluster.Scheduler.Nodes;

/// <summary>Registers what the node grains need.</summary>
public static class NodeServices
{
    public static IServiceCollection AddNodes(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<NodeOptions>().Bind(configuration.GetSection(NodeOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        GrpcAgentClient.AddRetry(services);
        services.TryAddSingleton<IAgentClient, GrpcAgentClient>();
        services.AddSingleton<NodeStore>();
        services.AddSingleton<NodeQueries>();
        services.AddSingleton<Quarantine>();
        services.AddSingleton<SchedulerStore>();
        services.AddSingleton<LeaseStore>();
        services.AddSingleton<LeaseRenewals>();
        services.AddSingleton<NodeReports>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeReports>());
        services.AddSingleton<NodeMeasurements>();
        services.AddSingleton<NodeCensus>();
        services.AddSingleton<NodeHeartbeats>();
        services.AddSingleton<AgentAddressRule>();
        services.AddSingleton<LeaseWatch>();
        return services;
    }
}
