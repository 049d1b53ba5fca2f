using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Cluster.Contracts.Tls;

/// <summary>
/// What stands in the files of <see cref="TlsOptions"/>. Looked at with every handshake, of which there are few: a renewed certificate
/// counts from the next connection on, however it was put in place, and there is nobody who could miss it.
/// </summary>
public sealed class CertificateFiles
{
    private static readonly Oid ServerUse = new("1.3.6.1.5.5.7.3.1");
    private static readonly Oid ClientUse = new("1.3.6.1.5.5.7.3.2");

    private readonly TlsOptions _options;
    private readonly Action<string> _unreadable;
    private readonly Lock _gate = new();
    private Contents _contents;
    private string _seen;

    /// <param name="options">Whose files to read.</param>
    /// <param name="unreadable">Told, once for each change, of files that cannot be used; what was read before them stays in use.</param>
    /// <exception cref="InvalidDataException">They cannot be used to begin with.</exception>
    public CertificateFiles(TlsOptions options, Action<string>? unreadable = null)
    {
        (_options, _unreadable) = (options, unreadable ?? (_ => { }));
        _seen = Stamp();
        _contents = Read();
    }

    /// <summary>The service's own certificate, with its key.</summary>
    /// <exception cref="InvalidOperationException">It has none.</exception>
    public X509Certificate2 Certificate =>
        Current().Own?.TargetCertificate ?? throw new InvalidOperationException("no Tls:CertificateFile");

    /// <summary>For one connection that somebody opens to this service.</summary>
    /// <param name="clients">What certificate the other side is to show.</param>
    /// <param name="unit">The <see cref="CertificateUnit"/> that it must be of; null: any.</param>
    /// <param name="refused">Is told of a certificate that gets no connection.</param>
    public SslServerAuthenticationOptions ForServer(
        ClientCertificates clients, string? unit = null, Action<X509Certificate2>? refused = null) => new()
        {
            ServerCertificateContext = Current().Own,
            ClientCertificateRequired = clients != ClientCertificates.None,
            // A resumed session would go by the certificates of the one before.
            AllowTlsResume = false,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
            {
                if (certificate is not X509Certificate2 shown)
                    return clients != ClientCertificates.Required;
                var isAccepted = Accepts(shown, chain, ClientUse, unit);
                if (!isAccepted)
                    refused?.Invoke(shown);
                return isAccepted;
            },
        };

    /// <summary>For connections that this service opens. The address's name must be one of the certificate's.</summary>
    /// <param name="unit">The <see cref="CertificateUnit"/> that the other side's must be of; null: any.</param>
    public SslClientAuthenticationOptions ForClient(string? unit = null) => new()
    {
        AllowTlsResume = false,
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) => _options.AuthorityFile.Length == 0
            ? errors == SslPolicyErrors.None
            : (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == SslPolicyErrors.None
                && certificate is X509Certificate2 shown && Accepts(shown, chain, ServerUse, unit),
        LocalCertificateSelectionCallback = _options.IsOn ? (_, _, _, _, _) => Certificate : null,
    };

    /// <summary>Whether it is the authority's and valid now, for a service that another calls and is called by.</summary>
    public bool AcceptsPeer(X509Certificate2 certificate, X509Chain? sent, string unit) =>
        Accepts(certificate, sent, ServerUse, unit) && Accepts(certificate, sent, ClientUse, unit);

    private bool Accepts(X509Certificate2 certificate, X509Chain? sent, Oid use, string? unit)
    {
        if (unit is not null && CertificateUnit.Of(certificate) != unit)
            return false;
        using var chain = new X509Chain();
        var policy = chain.ChainPolicy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(Current().Authorities);
        policy.RevocationMode = X509RevocationMode.NoCheck;
        policy.DisableCertificateDownloads = true;
        policy.ApplicationPolicy.Add(use);
        foreach (var element in sent?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
            policy.ExtraStore.Add(element.Certificate);
        return chain.Build(certificate);
    }

    private Contents Current()
    {
        lock (_gate)
        {
            // Before they are read: what changes meanwhile is seen the next time.
            var stamp = Stamp();
            if (stamp == _seen)
                return _contents;
            _seen = stamp;
            try
            {
                _contents = Read();
            }
            catch (InvalidDataException fault)
            {
                // As between the writing of a certificate and that of its key.
                _unreadable(fault.Message);
            }

            return _contents;
        }
    }

    private string Stamp() => string.Join(' ', new[] { _options.CertificateFile, _options.KeyFile, _options.AuthorityFile }
        .Where(path => path.Length > 0).Select(StampOf));

    private static string StampOf(string path)
    {
        // Links followed, since Kubernetes puts a folder of secrets in place by one.
        var file = new FileInfo(path);
        var target = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        return target.Exists ? $"{target.FullName}:{target.Length}:{target.LastWriteTimeUtc.Ticks}" : "gone";
    }

    private Contents Read()
    {
        var authorities = new X509Certificate2Collection();
        if (_options.AuthorityFile.Length > 0)
            Import(authorities, TlsOptions.SectionName + ":" + nameof(TlsOptions.AuthorityFile), _options.AuthorityFile);
        return new Contents(_options.IsOn ? ReadOwn() : null, authorities);
    }

    private SslStreamCertificateContext ReadOwn()
    {
        const string Setting = $"{TlsOptions.SectionName}:{nameof(TlsOptions.CertificateFile)}";
        var chain = new X509Certificate2Collection();
        Import(chain, Setting, _options.CertificateFile);
        try
        {
            var own = X509Certificate2.CreateFromPemFile(_options.CertificateFile, _options.KeyFile);
            chain.RemoveAt(0);
            return SslStreamCertificateContext.Create(own, chain, offline: true);
        }
        catch (Exception fault) when (fault is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new InvalidDataException(
                $"{Setting} is '{_options.CertificateFile}' and its key '{_options.KeyFile}': {fault.Message}; "
                    + "give a PEM certificate and its own unencrypted key",
                fault);
        }
    }

    private static void Import(X509Certificate2Collection certificates, string setting, string path)
    {
        try
        {
            certificates.ImportFromPemFile(path);
        }
        catch (Exception fault) when (fault is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"{setting} is '{path}', which cannot be read: {fault.Message}", fault);
        }

        if (certificates.Count == 0)
            throw new InvalidDataException($"{setting} is '{path}', which holds no certificate; give a PEM file");
    }

    private sealed record Contents(SslStreamCertificateContext? Own, X509Certificate2Collection Authorities);
}

/// <summary>What a server wants to see of who connects.</summary>
public enum ClientCertificates
{
    /// <summary>Nothing: people and browsers have tokens.</summary>
    None,

    /// <summary>One of the authority's, or none; another authority's is refused.</summary>
    Known,

    /// <summary>One of the authority's.</summary>
    Required,
}
