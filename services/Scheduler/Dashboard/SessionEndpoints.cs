using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;

namespace Cluster.Scheduler.Dashboard;

/// <summary>A browser's session: a token in a cookie that scripts cannot read and other sites cannot send.</summary>
public static class SessionEndpoints
{
    private const string Cookie = "cluster-token";

    public static void MapSession(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapPost("/api/session", async (SessionRequest request, TokenRegister tokens, HttpContext context) =>
        {
            if (!await MayViewAsync(tokens, request.Token, context.RequestAborted))
                return Results.Unauthorized();
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
            var tokens = context.HttpContext.RequestServices.GetRequiredService<TokenRegister>();
            return await MayViewAsync(tokens, token, context.HttpContext.RequestAborted) ? await next(context) : Results.Unauthorized();
        });

    private static async Task<bool> MayViewAsync(TokenRegister tokens, string? token, CancellationToken cancellationToken) =>
        !string.IsNullOrEmpty(token) && (await tokens.FindAsync(token, cancellationToken))?.Scope.Allows(Scope.Viewer) == true;

    private sealed record SessionRequest(string Token);
}
