using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Cluster.Cli.Certificates;

/// <summary>Makes the certificates of one cluster. What it signs, its parts believe; nobody else does.</summary>
internal sealed class PrivateAuthority : IDisposable
{
    public static readonly TimeSpan Life = TimeSpan.FromDays(10 * 365);

    private const int SerialBytes = 16;

    // Clocks differ; what was made a moment ago must count everywhere.
    private static readonly TimeSpan Before = TimeSpan.FromMinutes(10);

    // Either side of a connection between parts of the cluster may be the one that opened it.
    private static readonly OidCollection Uses = [new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")];

    private PrivateAuthority(X509Certificate2 certificate) => Certificate = certificate;

    /// <summary>With its key.</summary>
    public X509Certificate2 Certificate { get; }

    public DateTimeOffset End => new(Certificate.NotAfter);

    public static PrivateAuthority Create(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new PrivateAuthority(SelfSigned(key, new X500DistinguishedName("CN=cluster authority"), now));
    }

    public static PrivateAuthority Load(string certificateFile, string keyFile) =>
        new(X509Certificate2.CreateFromPemFile(certificateFile, keyFile));

    /// <summary>The same authority for another term: its key stays, and what it has signed stays good.</summary>
    public PrivateAuthority Renewed(DateTimeOffset now)
    {
        using var key = Certificate.GetECDsaPrivateKey()!;
        return new PrivateAuthority(SelfSigned(key, Certificate.SubjectName, now));
    }

    /// <summary>A certificate with a key of its own.</summary>
    /// <param name="subject">Says what its owner is in the cluster.</param>
    /// <param name="hosts">Names and IP addresses by which it is called.</param>
    public X509Certificate2 Issue(X500DistinguishedName subject, IEnumerable<string> hosts, DateTimeOffset now, TimeSpan life)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (var host in hosts)
        {
            if (IPAddress.TryParse(host, out var address))
                names.AddIpAddress(address);
            else
                names.AddDnsName(host);
        }

        var extensions = request.CertificateExtensions;
        extensions.Add(names.Build());
        extensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        extensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        extensions.Add(new X509EnhancedKeyUsageExtension(Uses, critical: false));
        extensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(Certificate, true, false));
        // None outlives the authority's own.
        var end = now + life < End ? now + life : End;
        using var signed = request.Create(Certificate, now - Before, end, Serial());
        return signed.CopyWithPrivateKey(key);
    }

    public void Dispose() => Certificate.Dispose();

    private static X509Certificate2 SelfSigned(ECDsa key, X500DistinguishedName subject, DateTimeOffset now)
    {
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        var extensions = request.CertificateExtensions;
        extensions.Add(new X509BasicConstraintsExtension(true, true, 0, critical: true));
        extensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        extensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        return request.CreateSelfSigned(now - Before, now + Life);
    }

    private static byte[] Serial()
    {
        var serial = RandomNumberGenerator.GetBytes(SerialBytes);
        // Positive, and of full length.
        serial[0] = (byte)((serial[0] & 0x3f) | 0x40);
        return serial;
    }
}
