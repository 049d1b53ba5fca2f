using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Experiments;

namespace Cluster.Scheduler.Jobs;

/// <summary>Registers what jobs and their attempts need.</summary>
public static class JobServices
{
    public static IServiceCollection AddJobs(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<JobOptions>().Bind(configuration.GetSection(JobOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<JobFeed>();
        services.AddSingleton<CapacityCheck>();
        services.AddSingleton<ExperimentSubmission>();
        services.AddSingleton<InitialCheckpoint>();
        services.AddSingleton<AttemptFence>();
        services.AddSingleton<AttemptReports>();
        services.AddSingleton<Rendezvous>();
        return services;
    }
}
