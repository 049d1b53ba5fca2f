namespace Cluster.Scheduler.Searches;

/// <summary>Registers searches; after the silo, whose grains they call.</summary>
public static class SearchesServices
{
    public static IServiceCollection AddSearches(this IServiceCollection services)
    {
        services.AddSingleton<SearchStore>();
        services.AddSingleton<UnplaceableTrials>();
        services.AddSingleton<SearchSteps>();
        services.AddSingleton<SearchCommands>();
        services.AddHostedService<SearchService>();
        return services;
    }
}
