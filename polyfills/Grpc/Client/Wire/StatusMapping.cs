using System.Net;
using System.Net.Sockets;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>What a failure below gRPC means, after the tables of the protocol (PROTOCOL-HTTP2.md, http-grpc-status-mapping.md).</summary>
internal static class StatusMapping
{
    public static StatusCode FromHttpStatus(HttpStatusCode status) => status switch
    {
        HttpStatusCode.BadRequest => StatusCode.Internal,
        HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
        HttpStatusCode.NotFound => StatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout =>
            StatusCode.Unavailable,
        _ => StatusCode.Unknown,
    };

    /// <summary>From an HTTP/2 error code, of RST_STREAM or GOAWAY.</summary>
    public static StatusCode FromHttp2Error(long errorCode) => errorCode switch
    {
        0x7 => StatusCode.Unavailable,        // REFUSED_STREAM: nothing was done with the request
        0x8 => StatusCode.Cancelled,          // CANCEL
        0xb => StatusCode.ResourceExhausted,  // ENHANCE_YOUR_CALM
        0xc => StatusCode.PermissionDenied,   // INADEQUATE_SECURITY
        _ => StatusCode.Internal,
    };

    /// <summary>The innermost HTTP/2 error decides; else no connection, or a lost one, is Unavailable; else the failure is Internal.</summary>
    public static Status FromException(string summary, Exception exception)
    {
        StatusCode? code = null;
        var connectionLost = false;
        var detail = summary;
        for (var e = exception; e is not null; e = e.InnerException)
        {
            detail += $" {e.GetType().Name}: {e.Message}";
            if (e is HttpProtocolException { ErrorCode: var error })
                code = FromHttp2Error(error);
            else if (e is SocketException or IOException)
                connectionLost = true;
        }
        return new Status(code ?? (connectionLost ? StatusCode.Unavailable : StatusCode.Internal), detail, exception);
    }
}
