namespace Cluster.Scheduler.Experiments;

/// <summary>Registers experiments.</summary>
public static class ExperimentServices
{
    public static IServiceCollection AddExperiments(this IServiceCollection services)
    {
        services.AddSingleton<ExperimentStore>();
        return services;
    }
}
