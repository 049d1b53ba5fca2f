namespace Cluster.Scheduler.Limits;

/// <summary>Registers what callers are held to.</summary>
public static class LimitServices
{
    public static IServiceCollection AddLimits(this IServiceCollection services)
    {
        services.AddOptions<LimitOptions>().BindConfiguration(LimitOptions.SectionName).ValidateDataAnnotations().ValidateOnStart();
        // One for all calls: what it counts is what an owner does altogether.
        services.AddSingleton<LimitInterceptor>();
        services.AddSingleton<OwnerLimit>();
        return services;
    }
}
