using System.Net;

namespace Cluster.Contracts.Access;

/// <summary>
/// The environment's proxy, but never to this machine itself, whatever <c>no_proxy</c> says: no proxy elsewhere can reach that.
/// </summary>
public sealed class DirectLoopback : IWebProxy
{
    private readonly IWebProxy _proxy;

    private DirectLoopback(IWebProxy proxy) => _proxy = proxy;

    public ICredentials? Credentials
    {
        get => _proxy.Credentials;
        set => _proxy.Credentials = value;
    }

    /// <summary>
    /// For every client of this process that has no proxy of its own, exporters of telemetry among them. Called once, at its start.
    /// </summary>
    public static void Install() => HttpClient.DefaultProxy = new DirectLoopback(HttpClient.DefaultProxy);

    /// <summary>
    /// Whether calls to a part of the cluster may go by a proxy: gRPC in plain text is HTTP/2, which proxies pass on in a TLS tunnel only.
    /// </summary>
    public static bool MayProxy(Uri address) => address.Scheme == Uri.UriSchemeHttps && !address.IsLoopback;

    public Uri? GetProxy(Uri destination) => IsBypassed(destination) ? null : _proxy.GetProxy(destination);

    public bool IsBypassed(Uri host) => host.IsLoopback || _proxy.IsBypassed(host);
}
