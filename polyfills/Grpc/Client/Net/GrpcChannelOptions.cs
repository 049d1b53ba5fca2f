using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Grpc.Net.Client;

/// <summary>How a <see cref="GrpcChannel"/> reaches its server. At most one of <see cref="HttpClient"/> and <see cref="HttpHandler"/> is set.</summary>
public sealed class GrpcChannelOptions
{
    /// <summary>Must agree with the address: TLS for <c>https</c>, none for <c>http</c>. By default the address decides.</summary>
    public ChannelCredentials? Credentials { get; set; }

    /// <summary>In bytes, before compression. Null, the default, is no limit. A larger request fails with ResourceExhausted.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>In bytes, after decompression. Null is no limit; 4 MiB by default. A larger answer fails with ResourceExhausted.</summary>
    public int? MaxReceiveMessageSize { get; set; } = 4 * 1024 * 1024;

    /// <summary>Calls are not logged by default.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    public HttpClient? HttpClient { get; set; }

    public HttpMessageHandler? HttpHandler { get; set; }

    /// <summary>Whether disposing the channel disposes <see cref="HttpClient"/> or <see cref="HttpHandler"/>; a client that the channel made is its own.</summary>
    public bool DisposeHttpClient { get; set; }

    /// <summary>
    /// Whether a call that its caller cancelled throws <see cref="OperationCanceledException"/> instead of
    /// <see cref="RpcException"/>. Off by default.
    /// </summary>
    public bool ThrowOperationCanceledOnCancellation { get; set; }
}
