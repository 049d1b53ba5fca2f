using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Options;
using Npgsql;
using Polly.Registry;

namespace Cluster.Scheduler.Persistence;

/// <summary>
/// What a connection is for. Each use has a pool of its own, so that neither people's queries nor checkpoints can keep a lease waiting.
/// </summary>
/// <remarks>
/// The <see cref="ClusterDatabase"/> without a key is that of <see cref="Control"/>; others are had by <c>FromKeyedServices</c>.
/// </remarks>
public enum StorePool
{
    /// <summary>What the cluster lives by: leases, grants, the states of jobs.</summary>
    Control,

    /// <summary>What people look at.</summary>
    Queries,

    /// <summary>What comes in masses: chunks of checkpoints, metrics, logs.</summary>
    Bulk,
}

/// <summary>Registers the pools, each with its <see cref="ClusterDatabase"/>.</summary>
internal static class StorePools
{
    public static void Add(IServiceCollection services)
    {
        foreach (var pool in Enum.GetValues<StorePool>())
        {
            services.AddKeyedSingleton(pool, (provider, _) => Source(provider, pool));
            services.AddKeyedSingleton(pool, (provider, _) => Database(provider, pool));
        }

        services.AddSingleton(provider => provider.GetRequiredKeyedService<NpgsqlDataSource>(StorePool.Control));
        services.AddSingleton(provider => provider.GetRequiredKeyedService<ClusterDatabase>(StorePool.Control));
    }

    private static NpgsqlDataSource Source(IServiceProvider provider, StorePool pool)
    {
        var options = provider.GetRequiredService<IOptions<PersistenceOptions>>().Value;
        return new NpgsqlDataSourceBuilder(options.ConnectionStringOf(pool))
        {
            // Of its metrics: how many connections are in use, and how many calls wait for one.
            Name = $"{pool}",
        }.UseLoggerFactory(provider.GetRequiredService<ILoggerFactory>()).Build();
    }

    private static ClusterDatabase Database(IServiceProvider provider, StorePool pool)
    {
        var contexts = new DbContextOptionsBuilder<ClusterDbContext>()
            .UseNpgsql(provider.GetRequiredKeyedService<NpgsqlDataSource>(pool))
            .UseLoggerFactory(provider.GetRequiredService<ILoggerFactory>())
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking);
        return new ClusterDatabase(
            provider.GetRequiredKeyedService<NpgsqlDataSource>(pool),
            new PooledDbContextFactory<ClusterDbContext>(contexts.Options),
            provider.GetRequiredService<ResiliencePipelineProvider<string>>());
    }
}
