using System.Diagnostics;
using Grpc.Core;

namespace Cluster.Scheduler.Telemetry;

/// <summary>
/// Gives ASP.NET Core's server span what it lacks without an instrumentation package: the RPC's name, and an error status.
/// Names and attributes are OpenTelemetry's semantic conventions for RPC and HTTP.
/// </summary>
public static class CallSpans
{
    // The conventions' list for the server's side: a caller's mistake is no error of the span that refuses it.
    private static readonly IReadOnlySet<StatusCode> FailuresOfServer = new HashSet<StatusCode>
    {
        StatusCode.Unknown, StatusCode.DeadlineExceeded, StatusCode.Unimplemented, StatusCode.Internal, StatusCode.Unavailable, StatusCode.DataLoss,
    };

    public static IApplicationBuilder UseCallSpans(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        var span = Activity.Current;
        if (span is null)
        {
            await next(context);
            return;
        }

        var isCall = context.Request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) == true;
        // By the route: a caller who makes up paths is not to make up names of spans.
        var route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText;
        if (isCall)
            NameCall(span, route, context.Request.Path);
        else
            span.DisplayName = route is null ? context.Request.Method : $"{context.Request.Method} {route}";
        try
        {
            await next(context);
        }
        finally
        {
            if (isCall)
                MarkCall(span, context.Response);
            else
                MarkRequest(span, context.Response.StatusCode);
        }
    });

    private static void NameCall(Activity span, string? route, string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        span.DisplayName = route?.TrimStart('/') ?? "grpc";
        span.SetTag("rpc.system", "grpc");
        span.SetTag("rpc.service", parts.ElementAtOrDefault(0));
        span.SetTag("rpc.method", parts.ElementAtOrDefault(1));
    }

    private static void MarkCall(Activity span, HttpResponse response)
    {
        // The status is a trailer, or a header where the call had no answer.
        var trailers = response.HttpContext.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpResponseTrailersFeature>()?.Trailers;
        string? status = trailers is not null && trailers.TryGetValue("grpc-status", out var trailer) ? trailer : response.Headers["grpc-status"];
        if (!int.TryParse(status, out var code))
            return;
        span.SetTag("rpc.grpc.status_code", code);
        if (FailuresOfServer.Contains((StatusCode)code))
            span.SetStatus(ActivityStatusCode.Error);
    }

    private static void MarkRequest(Activity span, int statusCode)
    {
        span.SetTag("http.response.status_code", statusCode);
        if (statusCode >= 500)
            span.SetStatus(ActivityStatusCode.Error);
    }
}
