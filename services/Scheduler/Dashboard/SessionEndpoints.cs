using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Persistence;

namespace Cluster.Scheduler.Dashboard;

/// <summary>A browser's session: a token in a cookie that scripts cannot read and other sites cannot send.</summary>
public static class SessionEndpoints
{
    private const string Cookie = "cluster-token";

    public static void MapSession(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapPost("/api/session", async (SessionRequest request, HttpContext context) =>
        {
            if (await RefusalAsync(context, request.Token) is { } refusal)
                return refusal;
            context.Response.Cookies.Append(Cookie, request.Token, new CookieOptions
            {
                HttpOnly = true,
                SameSite = SameSiteMode.Strict,
                Secure = context.Request.IsHttps,
                MaxAge = TimeSpan.FromDays(7),
            });
            return Results.NoContent();
        });
        endpoints.MapGet("/api/session", () => Results.NoContent()).RequireViewer();
    }

    /// <summary>Lets a request through only with a token that may view: from the session's cookie, or as a bearer token.</summary>
    public static TBuilder RequireViewer<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder =>
        builder.AddEndpointFilter(async (context, next) =>
        {
            var request = context.HttpContext.Request;
            var token = CallMetadata.TokenOf(request.Headers.Authorization) ?? request.Cookies[Cookie];
            return await RefusalAsync(context.HttpContext, token) ?? await next(context);
        });

    /// <returns>Null when the token may view.</returns>
    private static async Task<IResult?> RefusalAsync(HttpContext context, string? token)
    {
        // A browser asks without a token to find out whether it needs one; nothing is refused by that.
        if (string.IsNullOrEmpty(token))
            return Results.Unauthorized();
        try
        {
            var caller = await context.RequestServices.GetRequiredService<TokenRegister>().FindAsync(token, context.RequestAborted);
            if (caller?.Scope.Allows(Scope.Viewer) == true)
                return null;
        }
        catch (StoreUnavailableException fault)
        {
            return Results.Problem(fault.Message, statusCode: StatusCodes.Status503ServiceUnavailable);
        }

        var reason = "the token is not known here, or may not view";
        context.RequestServices.GetRequiredService<RefusalLog>()
            .Refused(context.Request.Path, context.Connection.RemoteIpAddress?.ToString(), reason);
        return Results.Unauthorized();
    }

    private sealed record SessionRequest(string Token);
}
