using System.Net;
using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Hosting;

/// <summary>Opens the port.</summary>
internal static class Listening
{
    public static void ListenAsConfigured(this WebApplicationBuilder builder)
    {
        builder.Services.AddOptions<DashboardOptions>()
            .Bind(builder.Configuration.GetSection(DashboardOptions.SectionName))
            .ValidateDataAnnotations()
            .Validate(
                options => IPAddress.TryParse(options.ListenAddress, out _),
                $"{DashboardOptions.SectionName}:{nameof(DashboardOptions.ListenAddress)} must be an IP address, such as 127.0.0.1, "
                    + "or 0.0.0.0 for all interfaces")
            .RefusePlainText($"{DashboardOptions.SectionName}:{nameof(DashboardOptions.ListenAddress)}", options => options.ListenAddress)
            .Validate(
                options => SchedulerAddresses.TryParse(options.SchedulerAddress, out _),
                $"{DashboardOptions.SectionName}:{nameof(DashboardOptions.SchedulerAddress)} must be an address such as "
                    + "http://127.0.0.1:7070, or several with commas between")
            .ValidateOnStart();
        builder.Services.AddTls(mutual: false);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            var options = kestrel.ApplicationServices.GetRequiredService<IOptions<DashboardOptions>>().Value;
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Parse(options.ListenAddress), options.HttpPort, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.UseTlsIfOn(ClientCertificates.None);
            });
        });
    }
}
