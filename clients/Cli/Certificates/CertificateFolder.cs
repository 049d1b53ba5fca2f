using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cluster.Contracts.Tls;

namespace Cluster.Cli.Certificates;

/// <summary>Where a cluster's certificates and keys are kept: NAME.crt and NAME.key of each part, and of the authority.</summary>
internal sealed class CertificateFolder(string folder)
{
    public const string Authority = "authority";

    private const UnixFileMode OwnersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public string CertificateFile(string name) => Path.Combine(folder, name + ".crt");

    public string KeyFile(string name) => Path.Combine(folder, name + ".key");

    /// <summary>Made if there is none.</summary>
    public PrivateAuthority OpenAuthority(DateTimeOffset now)
    {
        if (File.Exists(CertificateFile(Authority)))
            return Reading(Authority, () => PrivateAuthority.Load(CertificateFile(Authority), KeyFile(Authority)));
        Directory.CreateDirectory(folder, OwnersOnly | UnixFileMode.UserExecute);
        var made = PrivateAuthority.Create(now);
        Write(Authority, made.Certificate);
        return made;
    }

    /// <summary>All but the authority's, by name.</summary>
    public IReadOnlyList<IssuedCertificate> Issued() => !Directory.Exists(folder)
        ? []
        : [.. Directory.EnumerateFiles(folder, "*.crt").Select(path => Path.GetFileNameWithoutExtension(path))
            .Where(name => name != Authority).Order(StringComparer.Ordinal).Select(Load)];

    private IssuedCertificate Load(string name) =>
        Reading(name, () => IssuedCertificate.Of(name, X509CertificateLoader.LoadCertificateFromFile(CertificateFile(name))));

    /// <summary>The key first: until both are there, whoever uses the files sees that they do not belong together and waits.</summary>
    public void Write(string name, X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        Put(KeyFile(name), key.ExportPkcs8PrivateKeyPem());
        Put(CertificateFile(name), certificate.ExportCertificatePem());
    }

    /// <summary>Whole or not at all.</summary>
    private static void Put(string path, string text)
    {
        var passing = path + ".new";
        File.Delete(passing);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnersOnly };
        using (var writer = new StreamWriter(passing, options))
            writer.WriteLine(text);
        File.Move(passing, path, overwrite: true);
    }

    private T Reading<T>(string name, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception fault) when (fault is CryptographicException or ArgumentException)
        {
            throw new CliException(
                ExitCode.Refused, $"{CertificateFile(name)} or its key cannot be used ({fault.Message}); put back what was made together");
        }
    }
}

/// <summary>A certificate that the authority has made for a part of the cluster.</summary>
/// <param name="Name">Of its files.</param>
/// <param name="Unit">See <see cref="CertificateUnit"/>.</param>
/// <param name="Hosts">By which it is called.</param>
internal sealed record IssuedCertificate(
    string Name, string Unit, IReadOnlyList<string> Hosts, X500DistinguishedName Subject, DateTimeOffset End)
{
    public static IssuedCertificate Of(string name, X509Certificate2 certificate)
    {
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        return new IssuedCertificate(
            name, CertificateUnit.Of(certificate) ?? "",
            [.. names?.EnumerateDnsNames() ?? [], .. (names?.EnumerateIPAddresses() ?? []).Select(address => $"{address}")],
            certificate.SubjectName, new DateTimeOffset(certificate.NotAfter));
    }
}
