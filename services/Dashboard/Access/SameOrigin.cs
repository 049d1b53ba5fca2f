namespace Cluster.Dashboard.Access;

/// <summary>
/// Refuses what a page of another origin asks for on a visitor's behalf: whatever changes something, and WebSockets, which browsers open
/// to anyone. A cookie that other sites cannot send is not enough, since to it all ports of one machine are one site.
/// </summary>
internal static class SameOrigin
{
    public static void UseSameOrigin(this WebApplication app)
    {
        var forgeries = app.Services.GetRequiredService<Forgeries>();
        app.Use(async (context, next) =>
        {
            var request = context.Request;
            var mayChange = !(HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method));
            var opensSocket = request.Headers.Upgrade.Count > 0;
            if ((!mayChange && !opensSocket) || IsOwn(request))
            {
                await next(context);
                return;
            }

            await forgeries.NoteAsync(context);
            await Results.Problem(
                    $"origin is {request.Headers.Origin} but this is {request.Host}; open the dashboard there, or let the proxy pass the "
                        + "Host header on",
                    statusCode: StatusCodes.Status403Forbidden)
                .ExecuteAsync(context);
        });
    }

    /// <summary>Programs that are no browsers send neither header.</summary>
    private static bool IsOwn(HttpRequest request)
    {
        if (request.Headers["Sec-Fetch-Site"].ToString() is "cross-site" or "same-site")
            return false;
        var origin = request.Headers.Origin.ToString();
        return origin.Length == 0
            || (Uri.TryCreate(origin, UriKind.Absolute, out var page)
                && page.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase));
    }
}
