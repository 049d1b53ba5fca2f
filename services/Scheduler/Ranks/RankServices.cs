using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Ranks;

/// <summary>Registers what ranks talk to.</summary>
public static class RankServices
{
    public static IServiceCollection AddRanks(this IServiceCollection services)
    {
        services.AddSingleton<AttemptFence>();
        services.AddSingleton<RankOwnership>();
        services.AddSingleton<AttemptReports>();
        services.AddSingleton<Rendezvous>();
        return services;
    }
}
