using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>Registers the watch over leases and the reconciler; after everything else, since hosted services start in order.</summary>
public static class ReconciliationServices
{
    public static IServiceCollection AddReconciliation(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<ReconcileOptions>().Bind(configuration.GetSection(ReconcileOptions.SectionName)).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<ReconcileSignal>();
        services.AddSingleton<PlacementStore>();
        services.AddSingleton<Reconciler>();
        services.AddHostedService<LeaseWatchService>();
        services.AddHostedService<ReconcilerService>();
        return services;
    }
}
