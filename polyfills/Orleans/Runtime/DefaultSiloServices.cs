using Microsoft.Extensions.DependencyInjection;
using Orleans.Configuration;
using Orleans.Hosting;

namespace Orleans.Runtime;

internal static class DefaultSiloServices
{
    public static void Add(ISiloBuilder builder)
    {
        var orleans = builder.Configuration.GetSection("Orleans");
        builder.Configure<ClusterOptions>(orleans);
        builder.Configure<SiloMessagingOptions>(orleans.GetSection("Messaging"));
        builder.Services.AddSingleton<Silo>();
        builder.Services.AddSingleton(services => services.GetRequiredService<Silo>().GrainFactory);
    }
}

internal sealed class SiloTracing
{
    public bool Enabled { get; set; }
}
