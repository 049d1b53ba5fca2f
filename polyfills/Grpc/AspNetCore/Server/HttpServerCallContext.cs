using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server;

/// <summary>
/// One call as an ASP.NET Core request. It ends exactly once: by its handler's return or exception, or by its deadline, which
/// answers the client at once although the handler may still run; what that handler then writes is refused.
/// </summary>
internal sealed partial class HttpServerCallContext : ServerCallContext
{
    /// <summary>Where a context that wraps this one finds the request; see <see cref="ServerCallContextExtensions"/>.</summary>
    public const string HttpContextKey = "__HttpContext";

    private readonly CallSettings settings;
    private readonly Lazy<Metadata> requestHeaders;
    private readonly Lazy<AuthContext> authContext;

    public HttpServerCallContext(HttpContext httpContext, CallSettings settings)
    {
        HttpContext = httpContext;
        this.settings = settings;
        requestHeaders = new Lazy<Metadata>(ReadRequestHeaders);
        authContext = new Lazy<AuthContext>(() => ToAuthContext(httpContext.Connection.ClientCertificate));
        cancellation = httpContext.RequestAborted;
    }

    public HttpContext HttpContext { get; }

    protected override string MethodCore => HttpContext.Request.Path.Value!;

    protected override string HostCore => HttpContext.Request.Host.Value!;

    protected override string PeerCore => HttpContext.Connection is { RemoteIpAddress: { } address, RemotePort: var port }
        ? address.AddressFamily == AddressFamily.InterNetworkV6 ? $"ipv6:[{address}]:{port}" : $"ipv4:{address}:{port}"
        : "unknown";

    protected override DateTime DeadlineCore => deadline;

    protected override Metadata RequestHeadersCore => requestHeaders.Value;

    protected override CancellationToken CancellationTokenCore => cancellation;

    protected override Metadata ResponseTrailersCore { get; } = [];

    protected override Status StatusCore { get; set; }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore => authContext.Value;

    protected override IDictionary<object, object> UserStateCore
    {
        get
        {
            HttpContext.Items[HttpContextKey] = HttpContext;
            return HttpContext.Items!;
        }
    }

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) =>
        throw new NotSupportedException("Calls served by ASP.NET Core cannot be propagated.");

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        ArgumentNullException.ThrowIfNull(responseHeaders);
        lock (gate)
        {
            if (bodyStarted || ended)
                throw new InvalidOperationException("Response headers can only be sent once per call.");
            foreach (var entry in responseHeaders)
            {
                if (entry.Key == GrpcHeaders.EncodingRequest)
                    ChooseResponseEncoding(entry.Value);
                else
                    HttpContext.Response.Headers.Append(entry.Key, GrpcHeaders.Encode(entry));
            }
            bodyStarted = true;
            // StartAsync would leave the headers in the buffer, and a client that waits for them would wait for ever.
            return writing = HttpContext.Response.BodyWriter.FlushAsync(CancellationToken.None).AsTask();
        }
    }

    private Metadata ReadRequestHeaders()
    {
        var metadata = new Metadata();
        foreach (var (name, values) in HttpContext.Request.Headers)
        {
            foreach (var value in values)
                GrpcHeaders.Decode(metadata, name, value ?? "");
        }
        return metadata;
    }

    /// <summary>The names are those that gRPC gives to a certificate's parts; subject alternative names identify the peer, else the common name.</summary>
    private static AuthContext ToAuthContext(X509Certificate2? certificate)
    {
        var properties = new Dictionary<string, List<AuthProperty>>(StringComparer.Ordinal);
        if (certificate is null)
            return new AuthContext(peerIdentityPropertyName: null, properties);

        const string alternativeName = "x509_subject_alternative_name";
        const string commonName = "x509_common_name";
        if (certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault() is { } names)
            names.EnumerateDnsNames().ToList().ForEach(name => Add(alternativeName, name));
        if (certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false) is { Length: > 0 } common)
            Add(commonName, common);
        var identity = properties.ContainsKey(alternativeName) ? alternativeName : properties.ContainsKey(commonName) ? commonName : null;
        return new AuthContext(identity, properties);

        void Add(string name, string value)
        {
            if (!properties.TryGetValue(name, out var values))
                properties[name] = values = [];
            values.Add(AuthProperty.Create(name, Encoding.UTF8.GetBytes(value)));
        }
    }
}
