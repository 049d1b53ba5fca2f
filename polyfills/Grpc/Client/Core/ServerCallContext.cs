namespace Grpc.Core;

/// <summary>One call, seen from its handler.</summary>
public abstract class ServerCallContext
{
    /// <summary>The request path: <c>/package.Service/Method</c>.</summary>
    public string Method => MethodCore;

    /// <summary>The authority that the client addressed.</summary>
    public string Host => HostCore;

    /// <summary>Where the client is: <c>ipv4:1.2.3.4:5</c>, <c>ipv6:[::1]:5</c>, or <c>unix:…</c>.</summary>
    public string Peer => PeerCore;

    /// <summary>UTC; <see cref="DateTime.MaxValue"/> when the client set none.</summary>
    public DateTime Deadline => DeadlineCore;

    public Metadata RequestHeaders => RequestHeadersCore;

    /// <summary>Cancelled when the client goes away or cancels, and when the deadline passes.</summary>
    public CancellationToken CancellationToken => CancellationTokenCore;

    /// <summary>Sent after the last message.</summary>
    public Metadata ResponseTrailers => ResponseTrailersCore;

    /// <summary>Sent when the handler returns normally.</summary>
    public Status Status
    {
        get => StatusCore;
        set => StatusCore = value;
    }

    public WriteOptions? WriteOptions
    {
        get => WriteOptionsCore;
        set => WriteOptionsCore = value;
    }

    /// <summary>Who the client is, as its TLS certificate says.</summary>
    public AuthContext AuthContext => AuthContextCore;

    /// <summary>Notes that interceptors and handler leave for each other.</summary>
    public IDictionary<object, object> UserState => UserStateCore;

    protected abstract string MethodCore { get; }

    protected abstract string HostCore { get; }

    protected abstract string PeerCore { get; }

    protected abstract DateTime DeadlineCore { get; }

    protected abstract Metadata RequestHeadersCore { get; }

    protected abstract CancellationToken CancellationTokenCore { get; }

    protected abstract Metadata ResponseTrailersCore { get; }

    protected abstract Status StatusCore { get; set; }

    protected abstract WriteOptions? WriteOptionsCore { get; set; }

    protected abstract AuthContext AuthContextCore { get; }

    protected virtual IDictionary<object, object> UserStateCore => throw new NotSupportedException("This call context keeps no user state.");

    /// <summary>Sends the response headers now instead of with the first message; at most once a call.</summary>
    public Task WriteResponseHeadersAsync(Metadata responseHeaders) => WriteResponseHeadersAsyncCore(responseHeaders);

    /// <summary>Part of the abstract surface only: as in grpc-dotnet, a call served by ASP.NET Core does not support it.</summary>
    public ContextPropagationToken CreatePropagationToken(ContextPropagationOptions? options = null) => CreatePropagationTokenCore(options);

    protected abstract Task WriteResponseHeadersAsyncCore(Metadata responseHeaders);

    protected abstract ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options);
}

public abstract class ContextPropagationToken
{
    internal ContextPropagationToken()
    {
    }
}

public class ContextPropagationOptions(bool propagateDeadline = true, bool propagateCancellation = true)
{
    public static readonly ContextPropagationOptions Default = new();

    public bool IsPropagateDeadline { get; } = propagateDeadline;

    public bool IsPropagateCancellation { get; } = propagateCancellation;
}
