namespace Cluster.Scheduler.Logs;

/// <summary>Registers logs.</summary>
public static class LogServices
{
    public static IServiceCollection AddLogs(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<LogOptions>().Bind(configuration.GetSection(LogOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<LogRetention>();
        services.AddSingleton<LogStore>();
        return services;
    }
}
