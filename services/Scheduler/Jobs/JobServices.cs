using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Changes;

namespace Cluster.Scheduler.Jobs;

/// <summary>Registers what jobs need.</summary>
public static class JobServices
{
    public static IServiceCollection AddJobs(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<JobOptions>().Bind(configuration.GetSection(JobOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<JobStore>();
        services.AddSingleton<Runtimes>();
        services.AddSingleton<JobTransitions>();
        services.AddSingleton<JobQueries>();
        services.AddSingleton<JobFeed>();
        services.AddSingleton<CapacityCheck>();
        services.AddSingleton<InitialCheckpoint>();
        return services;
    }
}
