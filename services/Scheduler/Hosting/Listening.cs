using System.Net;
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
            .ValidateOnStart();
        builder.Services.AddHostedService<StartLine>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            // Checked ones: Kestrel would refuse a port without a word of the setting that it stands in.
            var options = kestrel.ApplicationServices.GetRequiredService<IOptions<SchedulerOptions>>().Value;
            var address = IPAddress.Parse(options.ListenAddress);
            kestrel.Limits.Http2.KeepAlivePingDelay = options.PingDelay;
            kestrel.Limits.Http2.KeepAlivePingTimeout = options.PingTimeout;
            kestrel.Listen(address, options.GrpcPort, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(address, options.HttpPort, listen => listen.Protocols = HttpProtocols.Http1);
        });
    }
}
