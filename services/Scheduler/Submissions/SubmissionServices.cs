using Cluster.Scheduler.Dependencies;

namespace Cluster.Scheduler.Submissions;

/// <summary>Registers how jobs come in.</summary>
public static class SubmissionServices
{
    public static IServiceCollection AddSubmissions(this IServiceCollection services)
    {
        services.AddSingleton<SubmissionStore>();
        services.AddSingleton<SubmissionGroups>();
        services.AddHostedService(provider => provider.GetRequiredService<SubmissionGroups>());
        services.AddSingleton<DependencyPin>();
        services.AddSingleton<DependencyStore>();
        services.AddSingleton<SubmissionChecks>();
        services.AddSingleton<JobIntake>();
        services.AddSingleton<ExperimentIntake>();
        return services;
    }
}
