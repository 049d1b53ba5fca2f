using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Balancer;
using Grpc.Net.Client.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Cluster.Contracts.Access;

/// <summary>Where the schedulers of one cluster are reached: one address, or several of which any answers every call.</summary>
public sealed class SchedulerAddresses
{
    // Tried again soon: what calls a scheduler has a patience of its own, and a lease to renew.
    private static readonly TimeSpan FirstReconnect = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestReconnect = TimeSpan.FromSeconds(1);

    private readonly Uri[] _addresses;

    private SchedulerAddresses(Uri[] addresses) => _addresses = addresses;

    /// <summary>The first one.</summary>
    public Uri First => _addresses[0];

    /// <param name="text">http:// for HTTP/2 in plain text or https:// for TLS, host and port; several with commas between, all of one
    /// scheme.</param>
    /// <param name="addresses">Null where this is false.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out SchedulerAddresses? addresses)
    {
        var parts = (text ?? "").Split(',', StringSplitOptions.TrimEntries)
            .Select(part => Uri.TryCreate(part, UriKind.Absolute, out var uri) ? uri : null).OfType<Uri>().ToArray();
        var valid = parts.Length == (text ?? "").Split(',').Length
            && parts.All(uri => uri.Scheme == parts[0].Scheme && uri.Scheme is "http" or "https" && uri.Host.Length > 0);
        addresses = valid ? new SchedulerAddresses(parts) : null;
        return valid;
    }

    /// <summary>A channel to the first that answers, and to another when that one is gone.</summary>
    public GrpcChannel OpenChannel(ConnectionPings pings)
    {
        var services = new ServiceCollection();
        services.AddSingleton<ResolverFactory>(
            new StaticResolverFactory(_ => _addresses.Select(uri => new BalancerAddress(uri.Host, uri.Port))));
        services.AddSingleton<LoadBalancerFactory>(new NextAddressBalancer.Factory());
        // Of one there is no next.
        var policy = _addresses.Length == 1 ? new PickFirstConfig() : new LoadBalancingConfig(NextAddressBalancer.Policy);
        return GrpcChannel.ForAddress("static:///scheduler", new GrpcChannelOptions
        {
            Credentials = First.Scheme == Uri.UriSchemeHttps ? ChannelCredentials.SecureSsl : ChannelCredentials.Insecure,
            HttpHandler = pings.Handler(First),
            DisposeHttpClient = true,
            ServiceProvider = services.BuildServiceProvider(),
            ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { policy } },
            InitialReconnectBackoff = FirstReconnect,
            MaxReconnectBackoff = LongestReconnect,
        });
    }

    public override string ToString() => string.Join(',', _addresses.Select(uri => uri.OriginalString));
}
