using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Placement;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>
/// Registers placement and what goes on beside all calls: the watch over leases, forecasts, the reconciler; after everything else, since
/// hosted services start in order.
/// </summary>
public static class ReconciliationServices
{
    public static IServiceCollection AddReconciliation(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<ReconcileOptions>().Bind(configuration.GetSection(ReconcileOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddOptions<PlacementOptions>().Bind(configuration.GetSection(PlacementOptions.SectionName))
            .ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<ReconcileSignal>();
        services.AddSingleton<PlacementStore>();
        services.AddSingleton<PlanCommit>();
        services.AddSingleton<EvictionCommit>();
        services.AddSingleton<ExpectedStartStore>();
        services.AddSingleton<DueWork>();
        services.AddSingleton<DependencyWork>();
        services.AddSingleton<Reconciler>();
        services.AddHostedService<JobFeedRelay>();
        services.AddHostedService<LeaseWatchService>();
        services.AddHostedService<NodeFiguresService>();
        // It stops before the grains do: what they do not answer then is no reason to place a job without its forecast.
        services.AddHostedService(provider => provider.GetRequiredService<ForecastWork>());
        services.AddHostedService<ReconcilerService>();
        return services;
    }
}
