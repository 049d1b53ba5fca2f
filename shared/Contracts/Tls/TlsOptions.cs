using System.ComponentModel.DataAnnotations;
using System.Net;

namespace Cluster.Contracts.Tls;

/// <summary>
/// The certificate that a service shows, and the authority whose certificates it believes. One section, "Tls", in every service.
/// <c>./cluster certs</c> makes the files; new ones in their place count from the next connection on.
/// </summary>
public sealed class TlsOptions : IValidatableObject
{
    public const string SectionName = "Tls";

    /// <summary>What a service says that would open a port to others in plain text, after the name of its setting.</summary>
    public const string PlainTextRefusal =
        "is an address that other machines reach, and what is sent there could be read on the way: set Tls:CertificateFile and Tls:KeyFile "
        + "(./cluster certs makes them), or Tls:AllowPlainText to true where the network between is trusted";

    /// <summary>
    /// PEM file with the service's certificate, followed by those between it and the authority's, if any. Empty by default: the ports are
    /// loopback's then, and speak plain text.
    /// </summary>
    public string CertificateFile { get; set; } = "";

    /// <summary>PEM file with the certificate's private key, which nobody but the service's user may read.</summary>
    public string KeyFile { get; set; } = "";

    /// <summary>
    /// PEM file with the certificates of the cluster's authority, by which other parts of the cluster are recognised; during a change of
    /// authorities the old one and the new one. Empty: the system's authorities are asked, and no client is recognised by a certificate.
    /// </summary>
    public string AuthorityFile { get; set; } = "";

    /// <summary>
    /// Whether a port may speak plain text although other machines reach it. False by default, so that nobody does so without knowing;
    /// true where something else protects the network, such as a mesh or a tunnel.
    /// </summary>
    public bool AllowPlainText { get; set; }

    /// <summary>Whether ports speak TLS.</summary>
    public bool IsOn => CertificateFile.Length > 0;

    /// <param name="address">An IP address; what is none is for another check to refuse.</param>
    public bool MayListenOn(string address) =>
        IsOn || AllowPlainText || !IPAddress.TryParse(address, out var parsed) || IPAddress.IsLoopback(parsed);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (CertificateFile.Length > 0 != KeyFile.Length > 0)
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(CertificateFile)} is '{CertificateFile}' and {SectionName}:{nameof(KeyFile)} is '{KeyFile}'; "
                    + "a certificate and its key go together: set both, or neither");
        }

        foreach (var (setting, path) in new[]
        {
            (nameof(CertificateFile), CertificateFile), (nameof(KeyFile), KeyFile), (nameof(AuthorityFile), AuthorityFile),
        })
        {
            if (path.Length > 0 && !File.Exists(path))
                yield return new ValidationResult($"{SectionName}:{setting} is '{path}', which does not exist; ./cluster certs makes it");
        }
    }
}
