using Cluster.Contracts.Tls;

namespace Cluster.Contracts.Access;

/// <summary>
/// How soon a connection counts as dead that nobody has closed and over which nothing comes any more: the machine at its other end is
/// gone, or a relay between has forgotten it. TCP by itself notices only after a quarter of an hour, and where nothing is sent never.
/// </summary>
/// <param name="Delay">After so long without a frame an HTTP/2 ping is sent; 1 s at least.</param>
/// <param name="Timeout">Without its answer for so long, the connection is closed and its calls end; 1 s at least.</param>
public sealed record ConnectionPings(TimeSpan Delay, TimeSpan Timeout)
{
    /// <summary>
    /// For calls on which no lease depends: found out well within half a minute, and a slow line with megabytes under way still answers in
    /// time.
    /// </summary>
    public static ConnectionPings Patient { get; } = new(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10));

    /// <summary>
    /// For heartbeats and orders, and where there is another scheduler to go to: found out within four seconds of the last frame, so that
    /// one of a lease of five is left to renew it over another connection. The client looks once a second only.
    /// </summary>
    public static ConnectionPings Prompt { get; } = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1.5));

    // A machine that is there answers within a second; one that is not must leave time for another try, or another scheduler.
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2.5);

    /// <summary>What gRPC calls to another part of the cluster go by.</summary>
    /// <param name="address">Of the other part; https:// is TLS.</param>
    /// <param name="certificates">By which the two recognise each other; null: the system's authorities, and none of the caller's
    /// own.</param>
    public HttpMessageHandler Handler(Uri address, CertificateFiles? certificates) => new LateConnections(new SocketsHttpHandler
    {
        SslOptions = certificates?.ForClient() ?? new(),
        ConnectTimeout = ConnectTimeout,
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = Delay,
        KeepAlivePingTimeout = Timeout,
        // Also while no call is pending: the next one finds a connection that lives.
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.Always,
        UseProxy = DirectLoopback.MayProxy(address),
    });

    /// <summary>
    /// A connection that is not there in time, such as one whose TLS handshake the other side never ends, would look to gRPC as if the
    /// caller had cancelled the call: nobody would try again, or elsewhere.
    /// </summary>
    private sealed class LateConnections(HttpMessageHandler connecting) : DelegatingHandler(connecting)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return await base.SendAsync(request, cancellationToken);
            }
            catch (OperationCanceledException late)
                when (late.InnerException is TimeoutException && !cancellationToken.IsCancellationRequested)
            {
                // By the inner one gRPC tells absence from a fault.
                var what = late.InnerException.Message;
                throw new HttpRequestException(HttpRequestError.ConnectionError, what, new IOException(what, late));
            }
        }
    }
}
