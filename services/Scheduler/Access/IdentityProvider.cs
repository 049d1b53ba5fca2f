using System.Security.Claims;
using Cluster.Contracts.V1;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace Cluster.Scheduler.Access;

/// <summary>Recognises callers by the signed tokens of an OpenID Connect provider. Its keys are held: no call costs a query.</summary>
/// <remarks>By the parts of ASP.NET Core's own JwtBearer, without its middleware: one interceptor decides who is let in.</remarks>
public sealed class IdentityProvider
{
    private const int LongestOwner = 200;

    // By so much the provider's clock may differ from ours.
    private static readonly TimeSpan Skew = TimeSpan.FromSeconds(30);

    private readonly IdentityProviderOptions _options;
    private readonly JsonWebTokenHandler _tokens = new() { MapInboundClaims = false };
    private readonly TokenValidationParameters _rules;

    public IdentityProvider(IOptions<IdentityProviderOptions> options)
    {
        _options = options.Value;
        _rules = new TokenValidationParameters { ValidAudience = _options.Audience, ClockSkew = Skew };
        if (!_options.IsOn)
            return;
        // It gives the issuer and the keys, and reads them again where a token has a key that is new. That the address is one of https, or
        // on loopback, the options' validation has seen to.
        _rules.ConfigurationManager = new ConfigurationManager<OpenIdConnectConfiguration>(
            $"{_options.Authority.TrimEnd('/')}/.well-known/openid-configuration", new OpenIdConnectConfigurationRetriever(),
            new HttpDocumentRetriever { RequireHttps = false });
    }

    /// <summary>Whether a token has the form of theirs; none of ours has.</summary>
    public bool MayHaveIssued(string token) => _options.IsOn && token.Count(character => character == '.') == 2;

    /// <returns>The caller; or null and why there is none.</returns>
    public async Task<(Caller? Caller, string Why)> FindAsync(string token)
    {
        var result = await _tokens.ValidateTokenAsync(token, _rules);
        if (!result.IsValid)
            return (null, $"the token is not valid here: it is over, for another service, or not from {_options.Authority}");
        var owner = result.ClaimsIdentity.FindFirst(_options.OwnerClaim)?.Value ?? "";
        if (owner.Length is 0 or > LongestOwner || owner.Any(char.IsControl))
            return (null, $"the token has no claim {_options.OwnerClaim} that names an owner");
        if (_options.ScopeOf(Values(result.ClaimsIdentity, _options.ScopeClaim)) is not { } scope)
        {
            return (null, $"{owner} has no scope here: none of the claims {_options.ScopeClaim} is one of "
                + $"{IdentityProviderOptions.SectionName}:{nameof(IdentityProviderOptions.Scopes)}");
        }

        var caller = new Caller(owner, scope)
        {
            TokenName = "signed in",
            EndsAt = new DateTimeOffset(result.SecurityToken.ValidTo, TimeSpan.Zero) + Skew,
        };
        if (_options.WorkspaceClaim.Length == 0 || scope == Scope.Admin)
            return (caller, "");
        string[] workspaces = [.. Values(result.ClaimsIdentity, _options.WorkspaceClaim)];
        return workspaces.Length > 0
            ? (caller with { Workspaces = workspaces }, "")
            : (null, $"the token has no claim {_options.WorkspaceClaim} that names workspaces");
    }

    private static IEnumerable<string> Values(ClaimsIdentity identity, string claim) =>
        identity.FindAll(claim).Select(found => found.Value);
}
