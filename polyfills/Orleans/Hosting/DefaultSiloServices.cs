using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Orleans.Configuration;
using Orleans.Runtime;

namespace Orleans.Hosting;

internal static class DefaultSiloServices
{
    public static void Add(ISiloBuilder builder)
    {
        var orleans = builder.Configuration.GetSection("Orleans");
        builder.Configure<ClusterOptions>(orleans);
        builder.Configure<SiloMessagingOptions>(orleans.GetSection("Messaging"));
        if (orleans.GetValue<bool>("EnableDistributedTracing"))
            builder.AddActivityPropagation();

        var services = builder.Services;
        services.AddOptions();
        services.AddLogging();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<Silo>();
        services.AddSingleton(provider => provider.GetRequiredService<Silo>().GrainFactory);
        services.AddSingleton(provider => (IClusterClient)provider.GetRequiredService<IGrainFactory>());
        services.AddTransient<IGrainContext>(_ =>
            RuntimeContext.Current ?? throw new InvalidOperationException($"An {nameof(IGrainContext)} exists only inside a grain."));
        services.AddSingleton<IHostedService, SiloHostedService>();
    }
}

/// <summary>Whether grain calls make spans.</summary>
internal sealed class SiloTracing
{
    public bool Enabled { get; set; }
}
