using System.Net;
using Cluster.Contracts.Tls;
using Cluster.Hosting;
using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Limits;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Hosting;

/// <summary>Opens the two ports.</summary>
public static class Listening
{
    public static void ListenAsConfigured(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<SchedulerOptions>()
            .Bind(builder.Configuration.GetSection(SchedulerOptions.SectionName))
            .ValidateDataAnnotations()
            .Validate(
                options => IPAddress.TryParse(options.ListenAddress, out _),
                $"{SchedulerOptions.SectionName}:{nameof(SchedulerOptions.ListenAddress)} must be an IP address, such as 127.0.0.1, "
                    + "or 0.0.0.0 for all interfaces")
            .RefusePlainText($"{SchedulerOptions.SectionName}:{nameof(SchedulerOptions.ListenAddress)}", options => options.ListenAddress)
            .ValidateOnStart();
        builder.Services.AddHostedService<StartLine>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            // Checked ones: Kestrel would refuse a port without a word of the setting that it stands in.
            var options = kestrel.ApplicationServices.GetRequiredService<IOptions<SchedulerOptions>>().Value;
            var address = IPAddress.Parse(options.ListenAddress);
            var limits = kestrel.ApplicationServices.GetRequiredService<IOptions<LimitOptions>>().Value;
            kestrel.Limits.MaxConcurrentConnections = limits.Connections;
            kestrel.Limits.Http2.MaxStreamsPerConnection = limits.CallsPerConnection;
            kestrel.Limits.RequestHeadersTimeout = limits.HeadersTimeout;
            kestrel.Limits.Http2.KeepAlivePingDelay = options.PingDelay;
            kestrel.Limits.Http2.KeepAlivePingTimeout = options.PingTimeout;
            kestrel.Listen(address, options.GrpcPort, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                // People have tokens alone; that nodes have both is for NodeCertificateInterceptor to see to.
                listen.UseTlsIfOn(
                    ClientCertificates.Known, refused: kestrel.ApplicationServices.GetRequiredService<RefusedCertificates>().Note);
            });
            kestrel.Listen(address, options.HttpPort, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.UseTlsIfOn(ClientCertificates.None);
            });
        });
    }
}
