using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cluster.Contracts.Tls;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// By what two ranks believe each other, in this order: their nodes' certificates, where the nodes are told to encrypt, and the attempt's
/// secret.
/// </summary>
/// <param name="secret">Of the attempt.</param>
/// <param name="certificates">This node's; null: what ranks send each other is not encrypted.</param>
internal sealed class PeerTrust(string secret, CertificateFiles? certificates)
{
    private const string Untrusted = "takes this node's certificate for none of a node of its authority";

    public bool IsEncrypted => certificates is not null;

    /// <summary>The listening side. Not the owner of the socket, unless it gives a wire.</summary>
    /// <param name="socket">From whom is not known.</param>
    /// <param name="rank">This one.</param>
    /// <param name="expected">Who may come.</param>
    /// <param name="cancellationToken">Ends the handshake.</param>
    public async Task<Admission> AcceptAsync(
        Socket socket, int rank, IReadOnlyDictionary<(int Rank, PeerChannel Channel), PeerEndpoint> expected,
        CancellationToken cancellationToken)
    {
        var stream = new SocketStream(socket);
        var tls = certificates is null ? null : new SslStream(stream);
        var doubt = "";
        try
        {
            if (tls is not null)
            {
                var options = certificates!.ForServer(ClientCertificates.Required, CertificateUnit.Node);
                options.RemoteCertificateValidationCallback = Explained(options.RemoteCertificateValidationCallback!, said => doubt = said);
                await tls.AuthenticateAsServerAsync(options, cancellationToken);
            }

            var shown = await PeerProof.AcceptAsync((Stream?)tls ?? stream, secret, rank, MayBe, cancellationToken);
            return shown is { } peer
                ? new Admission(peer, Wire(socket, stream, tls), "")
                : Refused(doubt.Length > 0 ? doubt : "it does not know the attempt's secret, or is none of the ranks that are awaited");
        }
        catch (Exception fault) when (fault is IOException or AuthenticationException or CryptographicException)
        {
            return Refused(
                doubt.Length > 0 ? doubt
                : tls is { IsAuthenticated: false } ? $"it ended TLS' handshake, or speaks none ({fault.Message})" : "it hung up");
        }
        catch (OperationCanceledException)
        {
            return Refused(tls is { IsAuthenticated: false } ? "it did not begin TLS in time" : "it took too long");
        }

        bool MayBe((int Rank, PeerChannel Channel) peer)
        {
            if (!expected.TryGetValue(peer, out var endpoint))
                return false;
            var host = PeerAddress.Parse(endpoint.Address).Host;
            if (tls is null || ((X509Certificate2)tls.RemoteCertificate!).MatchesHostname(host))
                return true;
            doubt = $"its certificate is not for {host}, the address of rank {peer.Rank}";
            return false;
        }

        Admission Refused(string reason)
        {
            tls?.Dispose();
            return new Admission(default, null, reason);
        }
    }

    /// <summary>The connecting side. The owner of the socket.</summary>
    /// <param name="socket">To the peer.</param>
    /// <param name="rank">This one.</param>
    /// <param name="peer">As it told its address.</param>
    /// <param name="channel">What for.</param>
    /// <param name="cancellationToken">Ends the handshake.</param>
    /// <exception cref="AuthenticationException">The peer is not to be trusted, or does not trust this rank; the message goes on from its
    /// name.</exception>
    public async Task<PeerWire> ConnectAsync(
        Socket socket, int rank, PeerEndpoint peer, PeerChannel channel, CancellationToken cancellationToken)
    {
        var stream = new SocketStream(socket);
        var tls = certificates is null ? null : new SslStream(stream);
        try
        {
            if (tls is not null)
                await AuthenticateAsync(tls, PeerAddress.Parse(peer.Address).Host, cancellationToken);
            var (greeted, proven) = await PeerProof.ConnectAsync(
                (Stream?)tls ?? stream, secret, rank, peer.Rank, channel, cancellationToken);
            if (proven)
                return Wire(socket, stream, tls);
            throw new AuthenticationException(tls is not null && !greeted
                ? Untrusted
                : "refused this rank's proof of the attempt's secret, or could not give its own");
        }
        catch (Exception fault)
        {
            // A refusal that ends TLS 1.3's handshake is read with the first bytes after it.
            var isRefused = fault is IOException && tls is { IsAuthenticated: true };
            if (tls is not null)
                await tls.DisposeAsync();
            socket.Dispose();
            if (isRefused)
                throw new AuthenticationException(Untrusted, fault);
            throw;
        }
    }

    private async Task AuthenticateAsync(SslStream tls, string host, CancellationToken cancellationToken)
    {
        var doubt = "";
        var options = certificates!.ForClient(CertificateUnit.Node);
        options.TargetHost = host;
        options.RemoteCertificateValidationCallback = Explained(options.RemoteCertificateValidationCallback!, said => doubt = said);
        try
        {
            await tls.AuthenticateAsClientAsync(options, cancellationToken);
        }
        catch (Exception fault) when (fault is AuthenticationException or IOException)
        {
            throw new AuthenticationException(
                doubt.Length > 0 ? $"cannot be trusted: {doubt}" : $"ended TLS' handshake, or speaks none ({fault.Message})", fault);
        }
    }

    private static PeerWire Wire(Socket socket, SocketStream stream, SslStream? tls) =>
        tls is null ? new PlainWire(socket) : new TlsWire(socket, tls, stream);

    /// <summary>What the framework then throws does not tell a certificate of another authority from none.</summary>
    private static RemoteCertificateValidationCallback Explained(RemoteCertificateValidationCallback accepts, Action<string> tell) =>
        (sender, certificate, chain, errors) =>
        {
            if (accepts(sender, certificate, chain, errors))
                return true;
            tell(certificate is null ? "it has no certificate"
                : errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) ? "its certificate is not for that address"
                : "its certificate is not one of Tls:AuthorityFile's for a node, or has run out");
            return false;
        };

    /// <param name="Peer">Who, where there is a wire.</param>
    /// <param name="Wire">To the peer; null where it is refused.</param>
    /// <param name="Refusal">Why it is.</param>
    internal readonly record struct Admission((int Rank, PeerChannel Channel) Peer, PeerWire? Wire, string Refusal);
}
