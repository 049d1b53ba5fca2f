namespace Cluster.Scheduler.Retention;

/// <summary>Registers the janitor; after everything else, since hosted services start in order.</summary>
public static class RetentionServices
{
    public static IServiceCollection AddRetention(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<RetentionOptions>().Bind(configuration.GetSection(RetentionOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<Leftovers>();
        services.AddSingleton<LongSeries>();
        services.AddSingleton<TimePartitions>();
        services.AddSingleton<OldJobs>();
        services.AddSingleton<OldAudit>();
        services.AddSingleton<Janitor>();
        services.AddHostedService<JanitorService>();
        return services;
    }
}
