using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Cluster.Grpc.Tests;

/// <summary>The polyfill's server on a free port, plain HTTP/2.</summary>
internal sealed class EchoServer : IAsyncDisposable
{
    public const int LargeMessage = 64 * 1024 * 1024;

    private readonly WebApplication app;

    private EchoServer(WebApplication app) => this.app = app;

    public Uri Address => new(app.Urls.First());

    public EchoRecord Record => app.Services.GetRequiredService<EchoRecord>();

    public ActiveCalls ActiveCalls => app.Services.GetRequiredService<ActiveCalls>();

    public HealthCheckService Checks => app.Services.GetRequiredService<HealthCheckService>();

    public IServiceProvider Services => app.Services;

    public static async Task<EchoServer> StartAsync(
        Action<GrpcServiceOptions>? configure = null, Action<KestrelServerOptions>? listen = null, Action<IServiceCollection>? services = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(listen ?? (kestrel => kestrel.ListenLocalhost0(HttpProtocols.Http2)));
        builder.Services.AddSingleton<EchoRecord>();
        builder.Services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = LargeMessage + 1024;
            configure?.Invoke(options);
        }).AddServiceOptions<ZipService>(options => options.ResponseCompressionAlgorithm = "gzip");
        builder.Services.AddGrpcReflection();
        builder.Services.AddGrpcHealthChecks().AddCheck("always", () => HealthCheckResult.Healthy());
        services?.Invoke(builder.Services);

        var host = builder.Build();
        host.MapGrpcService<EchoService>();
        host.MapGrpcService<ZipService>();
        host.MapGrpcHealthChecksService();
        host.MapGrpcReflectionService();
        await host.StartAsync();
        return new EchoServer(host);
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
    }
}

internal static class KestrelListening
{
    public static void ListenLocalhost0(this KestrelServerOptions kestrel, HttpProtocols protocols) =>
        kestrel.Listen(System.Net.IPAddress.Loopback, 0, endpoint => endpoint.Protocols = protocols);
}
