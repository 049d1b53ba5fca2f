using System.Diagnostics;

namespace Cluster.Scheduler.Telemetry;

/// <summary>
/// Gives ASP.NET Core's server span what it lacks without an instrumentation package: the RPC's name, and an error status.
/// Names and attributes are OpenTelemetry's semantic conventions for RPC and HTTP.
/// </summary>
public static class CallSpans
{
    public static IApplicationBuilder UseCallSpans(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        var span = Activity.Current;
        if (span is null)
        {
            await next(context);
            return;
        }

        var isCall = context.Request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) == true;
        if (isCall)
            NameCall(span, context.Request.Path);
        else
            span.DisplayName = $"{context.Request.Method} {context.Request.Path}";
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

    private static void NameCall(Activity span, string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        span.DisplayName = path.TrimStart('/');
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
        if (code != 0)
            span.SetStatus(ActivityStatusCode.Error);
    }

    private static void MarkRequest(Activity span, int statusCode)
    {
        span.SetTag("http.response.status_code", statusCode);
        if (statusCode >= 500)
            span.SetStatus(ActivityStatusCode.Error);
    }
}
