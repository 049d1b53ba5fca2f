namespace Cluster.Scheduler.Checkpoints;

/// <summary>Registers checkpoints.</summary>
public static class CheckpointServices
{
    public static IServiceCollection AddCheckpoints(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<CheckpointOptions>().Bind(configuration.GetSection(CheckpointOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<ChunkStore>();
        services.AddSingleton<CheckpointStore>();
        services.AddSingleton<CheckpointRetention>();
        services.AddSingleton<CheckpointQueries>();
        services.AddSingleton<CheckpointImport>();
        services.AddSingleton<CheckpointDeletion>();
        services.AddSingleton<PredictionReader>();
        return services;
    }
}
