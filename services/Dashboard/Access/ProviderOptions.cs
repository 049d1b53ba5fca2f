using System.ComponentModel.DataAnnotations;

namespace Cluster.Dashboard.Access;

/// <summary>
/// An OpenID Connect provider that signs visitors in, the same whose tokens the schedulers accept. Without one, a token is pasted.
/// </summary>
public sealed class ProviderOptions : IValidatableObject
{
    public const string SectionName = "IdentityProvider";

    /// <summary>The provider's address. Empty: there is none.</summary>
    public string Authority { get; set; } = "";

    /// <summary>By which the provider knows this dashboard. Its redirect address there is /sign-in/provider/back.</summary>
    [Required]
    public string ClientId { get; set; } = "dashboard";

    /// <summary>File whose first line proves to the provider that it is this dashboard. A file, since an environment shows.</summary>
    public string ClientSecretFile { get; set; } = "";

    /// <summary>What is asked of the provider, with blanks between: what puts the owner and the scope into its access tokens.</summary>
    [Required]
    public string Scopes { get; set; } = "openid";

    internal bool IsOn => Authority.Length > 0;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IsOn)
            yield break;
        if (!Uri.TryCreate(Authority, UriKind.Absolute, out var address) || !(address.Scheme == "https" || address.IsLoopback))
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(Authority)} is '{Authority}'; give an https address: who can change its answers can be anybody");
        }

        if (!File.Exists(ClientSecretFile))
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(ClientSecretFile)} is '{ClientSecretFile}', which does not exist; put the client's secret there");
        }
    }
}
