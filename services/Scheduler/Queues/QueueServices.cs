namespace Cluster.Scheduler.Queues;

/// <summary>Registers what queues need.</summary>
public static class QueueServices
{
    public static IServiceCollection AddQueues(this IServiceCollection services)
    {
        services.AddSingleton<QueueStore>();
        services.AddSingleton<QueueQueries>();
        return services;
    }
}
