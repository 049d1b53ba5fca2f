using System.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;

namespace Orleans.Hosting;

/// <summary>Configures the host's grains.</summary>
public interface ISiloBuilder
{
    IServiceCollection Services { get; }

    IConfiguration Configuration { get; }
}

internal sealed class SiloBuilder(IServiceCollection services, IConfiguration configuration) : ISiloBuilder
{
    public IServiceCollection Services { get; } = services;

    public IConfiguration Configuration { get; } = configuration;
}

/// <summary>Services and options of the host's grains.</summary>
public static class SiloBuilderExtensions
{
    public static ISiloBuilder ConfigureServices(this ISiloBuilder builder, Action<IServiceCollection> configureDelegate)
    {
        ArgumentNullException.ThrowIfNull(configureDelegate);
        configureDelegate(builder.Services);
        return builder;
    }

    public static ISiloBuilder Configure<TOptions>(this ISiloBuilder builder, Action<TOptions> configureOptions)
        where TOptions : class =>
        builder.ConfigureServices(services => services.Configure(configureOptions));

    public static ISiloBuilder Configure<TOptions>(this ISiloBuilder builder, IConfiguration configuration)
        where TOptions : class =>
        builder.ConfigureServices(services => services.AddOptions<TOptions>().Bind(configuration));
}

/// <summary>Clustering and tracing.</summary>
public static class CoreHostingExtensions
{
    /// <summary>One machine. This runtime is one process and opens no port, so the port numbers have nothing to act on.</summary>
    /// <exception cref="OrleansConfigurationException">A primary silo is named, which is another process.</exception>
    public static ISiloBuilder UseLocalhostClustering(
        this ISiloBuilder builder,
        int siloPort = 11111,
        int gatewayPort = 30000,
        IPEndPoint? primarySiloEndpoint = null,
        string serviceId = "dev",
        string clusterId = "dev")
    {
        if (primarySiloEndpoint is not null)
        {
            throw new OrleansConfigurationException(
                $"{nameof(primarySiloEndpoint)} is {primarySiloEndpoint}, but this Orleans runs in one process; build with PackageSet=nuget to join others.");
        }

        if (serviceId == "dev" && clusterId == "dev")
            return builder;
        return builder.Configure<Orleans.Configuration.ClusterOptions>(options => (options.ServiceId, options.ClusterId) = (serviceId, clusterId));
    }

    /// <summary>A client span and a server span for each grain call, and the trace context carried in the call's <see cref="RequestContext"/>.</summary>
    public static ISiloBuilder AddActivityPropagation(this ISiloBuilder builder) =>
        builder.Configure<SiloTracing>(tracing => tracing.Enabled = true);
}
