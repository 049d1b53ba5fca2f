using System.Net;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Grpc.Net.Client;

/// <summary>
/// A server's address and the HTTP/2 connections to it, which are made on demand and shared by all calls. Costly to make, so
/// one is kept for long; all members may be used from several threads.
/// </summary>
public sealed class GrpcChannel : ChannelBase, IDisposable
{
    private readonly HttpMessageInvoker http;
    private readonly bool ownsHttp;
    private readonly CancellationTokenSource disposed = new();

    private GrpcChannel(Uri address, GrpcChannelOptions options)
        : base(address.Authority)
    {
        if (options.HttpClient is not null && options.HttpHandler is not null)
            throw new ArgumentException("HttpClient and HttpHandler have been configured. Only one HTTP caller can be specified.", nameof(options));
        CheckCredentials(address, options.Credentials);

        Address = address;
        MaxSendMessageSize = options.MaxSendMessageSize;
        MaxReceiveMessageSize = options.MaxReceiveMessageSize;
        ThrowOperationCanceled = options.ThrowOperationCanceledOnCancellation;
        Logger = (options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger("Grpc.Net.Client.GrpcCall");
        ownsHttp = options.DisposeHttpClient || (options.HttpClient is null && options.HttpHandler is null);
        http = options.HttpClient ?? new HttpMessageInvoker(options.HttpHandler ?? DefaultHandler(), ownsHttp);
    }

    internal Uri Address { get; }

    internal int? MaxSendMessageSize { get; }

    internal int? MaxReceiveMessageSize { get; }

    internal bool ThrowOperationCanceled { get; }

    internal ILogger Logger { get; }

    internal HttpMessageInvoker Http => http;

    /// <summary>Ends every call under way when the channel is disposed.</summary>
    internal CancellationToken Disposed => disposed.Token;

    /// <inheritdoc cref="ForAddress(Uri, GrpcChannelOptions)"/>
    public static GrpcChannel ForAddress(string address) => ForAddress(address, new GrpcChannelOptions());

    /// <inheritdoc cref="ForAddress(Uri, GrpcChannelOptions)"/>
    public static GrpcChannel ForAddress(string address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        return ForAddress(new Uri(address), channelOptions);
    }

    /// <inheritdoc cref="ForAddress(Uri, GrpcChannelOptions)"/>
    public static GrpcChannel ForAddress(Uri address) => ForAddress(address, new GrpcChannelOptions());

    /// <summary>Makes a channel; nothing is sent until the first call.</summary>
    /// <param name="address"><c>http</c> for HTTP/2 in plain text, <c>https</c> for TLS.</param>
    /// <param name="channelOptions">How to reach it.</param>
    /// <exception cref="ArgumentException">The address has another scheme, or disagrees with the credentials.</exception>
    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        if (!address.IsAbsoluteUri || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
            throw new ArgumentException($"The address '{address}' must begin with http:// or https://.", nameof(address));
        return new GrpcChannel(address, channelOptions);
    }

    public override CallInvoker CreateCallInvoker()
    {
        ObjectDisposedException.ThrowIf(disposed.IsCancellationRequested, this);
        return new HttpCallInvoker(this);
    }

    /// <summary>Cancels the calls under way and closes the connections that the channel made.</summary>
    public void Dispose()
    {
        if (disposed.IsCancellationRequested)
            return;
        disposed.Cancel();
        if (ownsHttp)
            http.Dispose();
    }

    protected override Task ShutdownAsyncCore()
    {
        Dispose();
        return Task.CompletedTask;
    }

    private static SocketsHttpHandler DefaultHandler() => new()
    {
        // Long streams would otherwise starve further calls once the server's limit of streams a connection is reached.
        EnableMultipleHttp2Connections = true,
        PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
    };

    private static void CheckCredentials(Uri address, ChannelCredentials? credentials)
    {
        var tls = address.Scheme == Uri.UriSchemeHttps;
        if (credentials == ChannelCredentials.Insecure && tls)
            throw new ArgumentException($"Credentials are Insecure but the address '{address}' is https; use http or SecureSsl.", nameof(credentials));
        if (credentials == ChannelCredentials.SecureSsl && !tls)
            throw new ArgumentException($"Credentials are SecureSsl but the address '{address}' is http; use https or Insecure.", nameof(credentials));
    }
}
