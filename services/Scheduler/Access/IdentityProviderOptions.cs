using System.ComponentModel.DataAnnotations;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Access;

/// <summary>An OpenID Connect provider whose access tokens are accepted as bearer tokens. Without one, only our own are.</summary>
public sealed class IdentityProviderOptions : IValidatableObject
{
    public const string SectionName = "IdentityProvider";

    /// <summary>
    /// The provider's address, such as https://login.example.org/realms/lab; its keys are read from there, and again when it has new ones.
    /// Empty: there is no provider.
    /// </summary>
    public string Authority { get; set; } = "";

    /// <summary>What its tokens for us have as their audience. One for another service is not for us.</summary>
    public string Audience { get; set; } = "cluster";

    /// <summary>The claim that names the owner of what the caller submits. The provider must let nobody choose it.</summary>
    [Required]
    public string OwnerClaim { get; set; } = "sub";

    /// <summary>The claim, perhaps of several values, that says what the caller may.</summary>
    [Required]
    public string ScopeClaim { get; set; } = "roles";

    /// <summary>
    /// Which values of it give which scope: <c>IdentityProvider:Scopes:gpu-users=submitter</c>. The highest counts; who has none of them is
    /// refused.
    /// </summary>
    public Dictionary<string, string> Scopes { get; set; } = [];

    /// <summary>
    /// The claim, perhaps of several values, with the names of the only workspaces that are there for the caller. Who has none of it is
    /// refused, but for administrators, whom it does not limit. Empty: nobody is limited so.
    /// </summary>
    public string WorkspaceClaim { get; set; } = "";

    internal bool IsOn => Authority.Length > 0;

    /// <returns>Null: none of the values is one of <see cref="Scopes"/>.</returns>
    internal Scope? ScopeOf(IEnumerable<string> values)
    {
        var scopes = values.Select(value => Scopes.GetValueOrDefault(value)).OfType<string>().Select(Parse).OfType<Scope>().ToList();
        return scopes.Count > 0 ? scopes.Max() : null;
    }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IsOn)
            yield break;
        if (!Uri.TryCreate(Authority, UriKind.Absolute, out var address) || !(address.Scheme == "https" || address.IsLoopback))
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(Authority)} is '{Authority}'; give an https address: who can change its answers can be anybody");
        }

        if (Audience.Length == 0)
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(Audience)} is empty; give what the provider's tokens for the cluster are made out to");
        }

        foreach (var (value, scope) in Scopes.Where(mapped => Parse(mapped.Value) is null))
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(Scopes)}:{value} is '{scope}'; give viewer, submitter, operator or admin");
        }
    }

    private static Scope? Parse(string word) =>
        Enum.TryParse<Scope>(word, ignoreCase: true, out var scope) && scope is >= Scope.Viewer and <= Scope.Admin ? scope : null;
}
