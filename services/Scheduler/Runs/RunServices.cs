namespace Cluster.Scheduler.Runs;

/// <summary>Registers what is kept of runs.</summary>
public static class RunServices
{
    public static IServiceCollection AddRuns(this IServiceCollection services)
    {
        services.AddSingleton<MetricStore>();
        services.AddSingleton<CurveStore>();
        services.AddSingleton<RunQueries>();
        services.AddSingleton<RunSettings>();
        services.AddSingleton<RunPaces>();
        services.AddSingleton<SeriesLimit>();
        return services;
    }
}
