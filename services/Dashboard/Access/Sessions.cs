using System.Security.Claims;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Hosting;
using Cluster.Dashboard.Layout;
using Grpc.Core;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Access;

/// <summary>
/// A browser's session: its token stays here, and a cookie that scripts cannot read and other sites cannot send is the key to it.
/// </summary>
internal static class Sessions
{
    // As long as any token, a provider's too; a longer one is none, and would not fit into a header.
    private const int LongestToken = 8_000;

    private const string NotByProvider =
        "The sign-in broke off, or whom it found may not view here. Try again, or ask who runs the cluster for the scope viewer.";

    public static void AddSessions(this IServiceCollection services, IConfiguration configuration)
    {
        var options = configuration.GetSection(DashboardOptions.SectionName).Get<DashboardOptions>() ?? new DashboardOptions();
        var keys = services.AddDataProtection().SetApplicationName("cluster-dashboard");
        if (options.KeyFolder.Length > 0)
            keys.PersistKeysToFileSystem(Directory.CreateDirectory(options.KeyFolder, SessionFiles.OwnersFolder));
        services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie().AddProviderSignIn(configuration);
        services.AddSingleton<SessionFiles>();
        services.AddSingleton<Forgeries>();
        services.AddOptions<CookieAuthenticationOptions>(CookieAuthenticationDefaults.AuthenticationScheme)
            .Configure<IOptions<DashboardOptions>, SessionFiles>((cookie, dashboard, sessions) =>
            {
                cookie.SessionStore = sessions;
                // A browser has one jar for all ports of a machine, on which there may be several clusters.
                cookie.Cookie.Name = CookieName(dashboard.Value);
                cookie.Cookie.HttpOnly = true;
                // Lax: who follows a link from a chat is signed in; nothing is changed by following a link.
                cookie.Cookie.SameSite = SameSiteMode.Lax;
                cookie.LoginPath = LivePage.SignInPath;
                cookie.ReturnUrlParameter = "to";
                cookie.ExpireTimeSpan = dashboard.Value.SessionLength;
                cookie.SlidingExpiration = true;
            });
        services.AddAuthorizationBuilder().SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        services.AddCascadingAuthenticationState();
    }

    /// <summary>
    /// A sign-in begins a session of its own: in one that the browser came with, somebody else might be who had put its cookie there. To be
    /// used before cookies are read.
    /// </summary>
    public static void UseNewSessions(this WebApplication app)
    {
        var cookie = CookieName(app.Services.GetRequiredService<IOptions<DashboardOptions>>().Value);
        app.Use((context, next) =>
        {
            var (request, headers) = (context.Request, context.Request.Headers);
            var signsIn = request.Path == ProviderSignIn.BackPath
                || (HttpMethods.IsPost(request.Method) && request.Path == LivePage.SignInPath);
            if (signsIn)
                headers.Cookie = string.Join("; ", $"{headers.Cookie}".Split(';', StringSplitOptions.TrimEntries)
                    .Where(pair => !pair.StartsWith(cookie, StringComparison.Ordinal)));
            return next(context);
        });
    }

    public static void MapSessions(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet(LivePage.SignInPath, (string? to, bool? refused) => Page(to, refused == true ? NotByProvider : ""))
            .AllowAnonymous();
        endpoints.MapProviderSignIn();
        // That the form comes from here, SameOrigin has seen to.
        endpoints.MapPost(LivePage.SignInPath, SignInAsync).AllowAnonymous().DisableAntiforgery();
        endpoints.MapPost("/sign-out", async (HttpContext context) =>
        {
            await context.SignOutAsync();
            return Results.LocalRedirect(LivePage.SignInPath);
        }).AllowAnonymous().DisableAntiforgery();
    }

    private static async Task<IResult> SignInAsync(
        [FromForm] string? token, [FromForm] string? to, HttpContext context, SchedulerConnection schedulers)
    {
        token = token?.Trim() ?? "";
        if (await FaultAsync(token, schedulers, context.RequestAborted) is { } fault)
            return Page(to, fault);
        await context.SignInAsync(PrincipalOf(token), new AuthenticationProperties { IsPersistent = true });
        return Results.LocalRedirect(LocalPath(to));
    }

    internal static ClaimsPrincipal PrincipalOf(string token) => new(
        new ClaimsIdentity([new Claim(Caller.TokenClaim, token)], CookieAuthenticationDefaults.AuthenticationScheme));

    private static string CookieName(DashboardOptions options) => $"cluster-session-{options.HttpPort}";

    /// <returns>What is wrong with the token, in words; null when it may view.</returns>
    internal static async Task<string?> FaultAsync(string token, SchedulerConnection schedulers, CancellationToken cancellationToken)
    {
        if (token.Length is 0 or > LongestToken || token.Any(character => char.IsControl(character) || character > 127))
            return "That is no token: a token is one line without special characters.";
        try
        {
            await schedulers.Jobs.ListJobsAsync(new ListJobsRequest { PageSize = 1 }, SchedulerConnection.Call(token, cancellationToken));
            return null;
        }
        catch (RpcException fault)
        {
            return fault.Meaning() switch
            {
                StatusCode.Unauthenticated => "That token is not known here.",
                StatusCode.PermissionDenied => "That token may not view: it needs the scope viewer.",
                _ => $"The token could not be checked: {CallFault.Explain(fault)}. Try again in a moment.",
            };
        }
    }

    private static RazorComponentResult<SignInPage> Page(string? to, string fault) => new(new Dictionary<string, object?>
    {
        [nameof(SignInPage.To)] = LocalPath(to),
        [nameof(SignInPage.Fault)] = fault,
    });

    /// <summary>Where to go on to: within this site, or to its first page.</summary>
    internal static string LocalPath(string? to) =>
        to is ['/', ..] && !to.StartsWith("//", StringComparison.Ordinal) && !to.StartsWith("/\\", StringComparison.Ordinal) ? to : "/";
}
