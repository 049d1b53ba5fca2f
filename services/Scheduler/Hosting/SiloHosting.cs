using System.Net;
using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Hosting;
using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using SiloTlsOptions = Orleans.Connections.Security.TlsOptions;

namespace Cluster.Scheduler.Hosting;

/// <summary>Runs the grains: an Orleans silo, clustered with all others on the same database, be they several or none.</summary>
public static class SiloHosting
{
    private const string ServiceId = "cluster-scheduler";

    /// <remarks>After the persistence, whose migrations make the tables that the silos find each other by.</remarks>
    public static void AddSilo(this IHostApplicationBuilder builder)
    {
        builder.Services.AddOptions<SiloOptions>()
            .Bind(builder.Configuration.GetSection(SiloOptions.SectionName))
            .ValidateDataAnnotations()
            .Validate(
                options => IPAddress.TryParse(options.ListenAddress, out _),
                $"{SiloOptions.SectionName}:{nameof(SiloOptions.ListenAddress)} must be an IP address, such as 127.0.0.1, "
                    + "or 0.0.0.0 for all interfaces")
            .Validate(
                options => Advertised(options)?.IsWildcard() == false,
                $"{SiloOptions.SectionName}:{nameof(SiloOptions.AdvertisedAddress)} must be an IP address that the other "
                    + "schedulers reach this one at")
            .RefusePlainText($"{SiloOptions.SectionName}:{nameof(SiloOptions.ListenAddress)}", options => options.ListenAddress)
            .ValidateOnStart();
        builder.UseOrleans(silo =>
        {
            silo.UseAdoNetClustering((OptionsBuilder<AdoNetClusteringSiloOptions> clustering) =>
                clustering.Configure<IOptions<PersistenceOptions>>((options, persistence) =>
                {
                    options.Invariant = "Npgsql";
                    options.ConnectionString = persistence.Value.MembershipConnectionString;
                }));
            silo.AddActivityPropagation();
        });
        builder.Services.AddOptions<SiloConnectionOptions>()
            .Configure<IOptions<TlsOptions>, CertificateFiles, RefusedCertificates>(UseTlsIfOn);
        builder.Services.AddOptions<PersistenceOptions>()
            .Configure<IOptions<SiloOptions>>((persistence, silo) => persistence.Owner = silo.Value.Address);
        builder.Services.AddOptions<ClusterOptions>().Configure<IOptions<SiloOptions>>((cluster, silo) =>
        {
            cluster.ClusterId = silo.Value.ClusterId;
            cluster.ServiceId = ServiceId;
        });
        builder.Services.Configure<ClusterMembershipOptions>(membership =>
        {
            // A killed silo is found dead after three probes; the others take over its grains then.
            membership.ProbeTimeout = TimeSpan.FromSeconds(2);
            membership.NumMissedProbesLimit = 3;
            // A silo that starts waits for all that are said to live, if only they have said so within three of these.
            membership.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
            membership.NumMissedTableIAmAliveLimit = 3;
        });
        builder.Services.AddOptions<EndpointOptions>().Configure<IOptions<SiloOptions>>((endpoints, silo) =>
        {
            endpoints.AdvertisedIPAddress = Advertised(silo.Value)!;
            endpoints.SiloPort = silo.Value.AdvertisedPort ?? silo.Value.Port;
            endpoints.SiloListeningEndpoint = new IPEndPoint(IPAddress.Parse(silo.Value.ListenAddress), silo.Value.Port);
            // Clients of this service speak gRPC: nobody outside calls grains.
            endpoints.GatewayPort = 0;
        });
    }

    /// <summary>Both ways: whoever speaks to a silo may do what a scheduler may, so only schedulers do.</summary>
    private static void UseTlsIfOn(
        SiloConnectionOptions connections, IOptions<TlsOptions> options, CertificateFiles certificates, RefusedCertificates refused)
    {
        if (!options.Value.IsOn)
            return;
        var tls = new SiloTlsOptions
        {
            LocalServerCertificateSelector = (_, _) => certificates.Certificate,
            LocalClientCertificateSelector = (_, _, _, _, _) => certificates.Certificate,
            RemoteCertificateValidation = (shown, chain, _) =>
            {
                var isAccepted = certificates.AcceptsPeer(shown, chain, CertificateUnit.Scheduler);
                if (!isAccepted)
                    refused.Note(origin: null, shown);
                return isAccepted;
            },
            // Silos find each other by addresses in the database, of which certificates need not know.
            OnAuthenticateAsClient = (_, handshake) => handshake.TargetHost = CertificateUnit.Scheduler,
        };
        connections.ConfigureSiloInboundConnection(connection => connection.UseServerTls(tls));
        connections.ConfigureSiloOutboundConnection(connection => connection.UseClientTls(tls));
    }

    private static IPAddress? Advertised(SiloOptions options) =>
        IPAddress.TryParse(string.IsNullOrEmpty(options.AdvertisedAddress) ? options.ListenAddress : options.AdvertisedAddress,
            out var address) ? address : null;
}
