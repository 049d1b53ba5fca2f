using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cluster.Contracts.Tls;

namespace Cluster.Tests.Shared;

/// <summary>A cluster's authority, and the files of those that it has made certificates for.</summary>
internal sealed class TestAuthority : IDisposable
{
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("tls-tests-");
    private readonly X509Certificate2 _own;

    public TestAuthority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=an authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _own = request.CreateSelfSigned(DateTimeOffset.UtcNow - (100 * Day), DateTimeOffset.UtcNow + (100 * Day));
        File.WriteAllText(AuthorityFile, _own.ExportCertificatePem());
    }

    public string AuthorityFile => PathOf("authority.crt");

    public string PathOf(string file) => Path.Combine(_folder.FullName, file);

    /// <summary>A service's settings, with a certificate of its own for 127.0.0.1.</summary>
    public TlsOptions Make(string unit, string? name = null, bool isExpired = false)
    {
        name ??= unit;
        Write(name, unit, isExpired);
        return new TlsOptions { CertificateFile = PathOf(name + ".crt"), KeyFile = PathOf(name + ".key"), AuthorityFile = AuthorityFile };
    }

    /// <summary>The same, as a program is told them.</summary>
    public (string Setting, string Value)[] Settings(string unit)
    {
        var made = Make(unit);
        return [("Tls:CertificateFile", made.CertificateFile), ("Tls:KeyFile", made.KeyFile), ("Tls:AuthorityFile", made.AuthorityFile)];
    }

    /// <summary>A new certificate in the place of that name's.</summary>
    /// <returns>Its serial number.</returns>
    public string Write(string name, string unit, bool isExpired = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"OU={unit}, CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(
            new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        var end = DateTimeOffset.UtcNow + (isExpired ? -Day : Day);
        using var made = request.Create(_own, DateTimeOffset.UtcNow - (2 * Day), end, RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(PathOf(name + ".key"), key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(PathOf(name + ".crt"), made.ExportCertificatePem());
        return made.SerialNumber;
    }

    public void Dispose()
    {
        _own.Dispose();
        _folder.Delete(recursive: true);
    }
}
