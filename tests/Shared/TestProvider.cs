using System.Net.Http.Json;
using System.Security.Claims;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenIddict.Abstractions;
using OpenIddict.Server;
using OpenIddict.Server.AspNetCore;

namespace Cluster.Tests.Shared;

/// <summary>An OpenID Connect provider on loopback, OpenIddict: it signs everybody in, programs as whom they say.</summary>
internal sealed class TestProvider : IAsyncDisposable
{
    public const string ClientId = "dashboard";
    public const string ClientSecret = "a-secret-of-the-dashboard";

    private readonly HttpClient _http = new();
    private readonly int _port = FreePorts.Take();
    private WebApplication? _app;

    public string Address => $"http://127.0.0.1:{_port}";

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(Address);
        builder.Services.AddOpenIddict().AddServer(server =>
        {
            // Without its store: which clients there are is decided here.
            server.EnableDegradedMode().AllowClientCredentialsFlow().AllowAuthorizationCodeFlow();
            server.SetTokenEndpointUris("/token").SetAuthorizationEndpointUris("/authorize");
            server.AddEphemeralEncryptionKey().AddEphemeralSigningKey().DisableAccessTokenEncryption();
            server.UseAspNetCore().DisableTransportSecurityRequirement();
            server.AddEventHandler<OpenIddictServerEvents.ValidateAuthorizationRequestContext>(h => h.UseInlineHandler(request =>
            {
                if (request.ClientId != ClientId)
                    request.Reject(OpenIddictConstants.Errors.InvalidClient);
                return default;
            }));
            server.AddEventHandler<OpenIddictServerEvents.ValidateTokenRequestContext>(handler => handler.UseInlineHandler(request =>
            {
                if (request.ClientId != ClientId || request.ClientSecret != ClientSecret)
                    request.Reject(OpenIddictConstants.Errors.InvalidClient);
                return default;
            }));
            server.AddEventHandler<OpenIddictServerEvents.HandleAuthorizationRequestContext>(handler => handler.UseInlineHandler(request =>
            {
                request.SignIn(SignedIn("carla", TimeSpan.FromMinutes(5), "cluster", ["gpu-users"]));
                return default;
            }));
            server.AddEventHandler<OpenIddictServerEvents.HandleTokenRequestContext>(handler => handler.UseInlineHandler(context =>
            {
                // One that comes with a code is who has been given it.
                if (context.Request.IsClientCredentialsGrantType())
                    context.SignIn(SignedIn(context.Request));
                return default;
            }));
        });
        _app = builder.Build();
        _app.UseAuthentication();
        await _app.StartAsync(cancellationToken);
    }

    /// <summary>The access token of somebody who is in some groups.</summary>
    public Task<string> TokenAsync(string name, params string[] roles) => TokenAsync(name, TimeSpan.FromMinutes(5), "cluster", roles);

    /// <param name="name">Empty: the token names nobody.</param>
    /// <param name="lifetime">From now on; below zero, it has been over for as long.</param>
    /// <param name="audience">For which service it is made out.</param>
    /// <param name="roles">The groups.</param>
    public async Task<string> TokenAsync(string name, TimeSpan lifetime, string audience, params string[] roles)
    {
        using var form = new FormUrlEncodedContent(new Dictionary<string, string>
        {
            ["grant_type"] = "client_credentials",
            ["client_id"] = ClientId,
            ["client_secret"] = ClientSecret,
            ["name"] = name,
            ["for"] = audience,
            ["lifetime"] = $"{lifetime}",
            ["groups"] = string.Join(' ', roles),
        });
        using var answer = await _http.PostAsync(new Uri($"{Address}/token"), form);
        var json = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return json.TryGetProperty("access_token", out var token) ? token.GetString()! : throw new InvalidOperationException($"{json}");
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_app is null)
            return;
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private static ClaimsPrincipal SignedIn(OpenIddictRequest request) => SignedIn(
        (string?)request["name"] ?? "", TimeSpan.Parse((string?)request["lifetime"] ?? ""), (string?)request["for"] ?? "",
        ((string?)request["groups"] ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static ClaimsPrincipal SignedIn(string name, TimeSpan lifetime, string audience, string[] roles)
    {
        var identity = new ClaimsIdentity(OpenIddictServerAspNetCoreDefaults.AuthenticationScheme, "preferred_username", "roles");
        identity.AddClaim(new Claim("sub", "subject"));
        if (name.Length > 0)
            identity.AddClaim(new Claim("preferred_username", name));
        foreach (var role in roles)
            identity.AddClaim(new Claim("roles", role));
        foreach (var claim in identity.Claims)
            claim.SetDestinations("access_token");
        var principal = new ClaimsPrincipal(identity);
        principal.SetScopes("openid");
        principal.SetResources(audience);
        principal.SetAccessTokenLifetime(lifetime);
        return principal;
    }
}
