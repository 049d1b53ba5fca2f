using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

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
                $"{SchedulerOptions.SectionName}:{nameof(SchedulerOptions.ListenAddress)} must be an IP address, such as 127.0.0.1, or 0.0.0.0 for all interfaces")
            .ValidateOnStart();
        builder.WebHost.ConfigureKestrel((context, kestrel) =>
        {
            var options = context.Configuration.GetSection(SchedulerOptions.SectionName).Get<SchedulerOptions>() ?? new SchedulerOptions();
            if (!IPAddress.TryParse(options.ListenAddress, out var address))
                return;
            kestrel.Listen(address, options.GrpcPort, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(address, options.HttpPort, listen => listen.Protocols = HttpProtocols.Http1);
        });
    }
}
