using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server;

/// <summary>Takes a request from HTTP to a handler and its outcome back.</summary>
internal sealed partial class CallEndpoint(CallSettings settings, Func<HttpServerCallContext, Task> invoke, ActiveCalls activeCalls, ILogger logger)
{
    public async Task HandleAsync(HttpContext httpContext)
    {
        if (await RefusedAsync(httpContext))
            return;

        activeCalls.Enter();
        try
        {
            LiftRequestLimits(httpContext);
            httpContext.Response.ContentType = GrpcHeaders.ContentType;
            var call = new HttpServerCallContext(httpContext, settings);
            call.StartDeadline();
            await call.EndAsync(await RunAsync(call));
        }
        finally
        {
            activeCalls.Leave();
        }
    }

    private async Task<Exception?> RunAsync(HttpServerCallContext call)
    {
        try
        {
            call.NegotiateEncodings();
            await invoke(call);
            return null;
        }
        catch (RpcException e)
        {
            LogStatus(e.StatusCode, e.Status.Detail, call.Method, e.Status.DebugException);
            return e;
        }
        catch (Exception e) when (call.CancellationToken.IsCancellationRequested)
        {
            LogCancelled(call.Method, e);  // what a handler throws when its client has gone says nothing about the server
            return e;
        }
        catch (Exception e)
        {
            LogFailure(call.Method, e);
            return e;
        }
    }

    /// <summary>Answers what is not gRPC in HTTP's own terms.</summary>
    private static async ValueTask<bool> RefusedAsync(HttpContext httpContext)
    {
        var (status, why) = (httpContext.Request.ContentType, httpContext.Request.Protocol) switch
        {
            (var type, _) when !GrpcHeaders.IsGrpc(type) =>
                (StatusCodes.Status415UnsupportedMediaType, type is null ? "Content-Type is missing." : $"Content-Type '{type}' is not supported."),
            (_, var protocol) when !HttpProtocol.IsHttp2(protocol) && !HttpProtocol.IsHttp3(protocol) =>
                (StatusCodes.Status426UpgradeRequired, $"Request protocol '{protocol}' is not supported."),
            _ => (0, ""),
        };
        if (status == 0)
            return false;
        httpContext.Response.StatusCode = status;
        if (status == StatusCodes.Status426UpgradeRequired)
            httpContext.Response.Headers.Upgrade = "HTTP/2";
        // For a client that speaks gRPC after all, and looks for a status before it looks at the content type.
        httpContext.Response.Headers[GrpcHeaders.Status] = ((int)StatusCode.Internal).ToString(System.Globalization.CultureInfo.InvariantCulture);
        httpContext.Response.Headers[GrpcHeaders.Message] = PercentEncoding.Encode(why);
        await httpContext.Response.CompleteAsync();
        return true;
    }

    /// <summary>A stream may be longer than any body that Kestrel expects, and idle for as long as it likes; message sizes are limited instead.</summary>
    private static void LiftRequestLimits(HttpContext httpContext)
    {
        if (httpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = null;
        if (httpContext.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
            rate.MinDataRate = null;
    }

    [LoggerMessage(Level = LogLevel.Information, EventId = 1, Message = "Status {StatusCode} with detail '{Detail}' raised by {Method}")]
    private partial void LogStatus(StatusCode statusCode, string detail, string method, Exception? exception);

    [LoggerMessage(Level = LogLevel.Information, EventId = 2, Message = "{Method} ended by cancellation")]
    private partial void LogCancelled(string method, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, EventId = 3, Message = "Error when executing {Method}")]
    private partial void LogFailure(string method, Exception exception);
}
