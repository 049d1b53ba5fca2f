using System.Globalization;
using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Layout;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace Cluster.Dashboard.Access;

/// <summary>Signs visitors in by an OpenID Connect provider: its access token becomes the session's, and stays here.</summary>
internal static class ProviderSignIn
{
    public const string Path = LivePage.SignInPath + "/provider";

    /// <summary>Where the provider sends the browser back to.</summary>
    public const string BackPath = Path + "/back";

    public static void AddProviderSignIn(this AuthenticationBuilder authentication, IConfiguration configuration)
    {
        var services = authentication.Services;
        services.AddOptions<ProviderOptions>().Bind(configuration.GetSection(ProviderOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        // Its handler looks at every request for the way back, which without a provider there is none of.
        if ((configuration.GetSection(ProviderOptions.SectionName).Get<ProviderOptions>() ?? new ProviderOptions()).IsOn)
            authentication.AddOpenIdConnect(oidc => oidc.SignInScheme = CookieAuthenticationDefaults.AuthenticationScheme);
        services.AddOptions<OpenIdConnectOptions>(OpenIdConnectDefaults.AuthenticationScheme)
            .Configure<IOptions<ProviderOptions>>((oidc, provider) => Configure(oidc, provider.Value));
    }

    public static void MapProviderSignIn(this IEndpointRouteBuilder endpoints)
    {
        if (endpoints.ServiceProvider.GetRequiredService<IOptions<ProviderOptions>>().Value.IsOn)
        {
            endpoints.MapGet(Path, (string? to) => Results.Challenge(
                new AuthenticationProperties { RedirectUri = Sessions.LocalPath(to), IsPersistent = true },
                [OpenIdConnectDefaults.AuthenticationScheme])).AllowAnonymous();
        }
    }

    private static void Configure(OpenIdConnectOptions oidc, ProviderOptions provider)
    {
        oidc.Authority = provider.Authority;
        oidc.ClientId = provider.ClientId;
        oidc.ClientSecret = File.ReadLines(provider.ClientSecretFile).FirstOrDefault("").Trim();
        oidc.CallbackPath = BackPath;
        oidc.ResponseType = OpenIdConnectResponseType.Code;
        // Back by a link and not by a form of another site's, which the cookies of this exchange would not come with.
        oidc.ResponseMode = OpenIdConnectResponseMode.Query;
        foreach (var cookie in new[] { oidc.CorrelationCookie, oidc.NonceCookie })
            (cookie.SameSite, cookie.SecurePolicy) = (SameSiteMode.Lax, CookieSecurePolicy.SameAsRequest);
        // That it is one of https, or on loopback, the options' validation has seen to.
        oidc.RequireHttpsMetadata = false;
        oidc.MapInboundClaims = false;
        oidc.Scope.Clear();
        foreach (var scope in provider.Scopes.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            oidc.Scope.Add(scope);
        oidc.Events.OnTokenValidated = KeepTokenAsync;
        oidc.Events.OnRemoteFailure = back =>
        {
            back.HandleResponse();
            back.Response.Redirect($"{LivePage.SignInPath}?refused=true");
            return Task.CompletedTask;
        };
    }

    /// <summary>The session is its access token, and ends with it.</summary>
    private static async Task KeepTokenAsync(TokenValidatedContext signedIn)
    {
        var answer = signedIn.TokenEndpointResponse!;
        var schedulers = signedIn.HttpContext.RequestServices.GetRequiredService<SchedulerConnection>();
        if (await Sessions.FaultAsync(answer.AccessToken, schedulers, signedIn.HttpContext.RequestAborted) is { } fault)
        {
            signedIn.Fail(fault);
            return;
        }

        signedIn.Principal = Sessions.PrincipalOf(answer.AccessToken);
        var (session, time) = (signedIn.Properties!, signedIn.HttpContext.RequestServices.GetRequiredService<TimeProvider>());
        session.AllowRefresh = false;
        if (int.TryParse(answer.ExpiresIn, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
            session.ExpiresUtc = time.GetUtcNow().AddSeconds(seconds);
    }
}
