
namespace Cluster.Scheduler.Persistence;

/// <summary>Registers the store.</summary>
public static class PersistenceServices
{
    /// <summary>Adds the store, and the hosted service that runs before all others: the migrations.</summary>
    public static IServiceCollection AddPersistence(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<PersistenceOptions>().Bind(configuration.GetSection(PersistenceOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        StorePools.Add(services);
        ClusterDatabase.AddRetry(services);
        services.AddSingleton<Migrator>();
        services.AddHostedService<MigrateAtStart>();
        return services;
    }
}

/// <summary>Nothing else may touch the database before its schema is right.</summary>
internal sealed class MigrateAtStart(Migrator migrator) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken) => await migrator.MigrateAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
