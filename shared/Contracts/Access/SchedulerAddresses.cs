using System.Diagnostics.CodeAnalysis;
using Cluster.Contracts.Tls;
using Grpc.Net.Client;

namespace Cluster.Contracts.Access;

/// <summary>Where the schedulers of one cluster are reached: one address, or several of which any answers every call.</summary>
public sealed class SchedulerAddresses
{
    private readonly Uri[] _addresses;
    private int _current;

    private SchedulerAddresses(Uri[] addresses) => _addresses = addresses;

    /// <summary>The first one.</summary>
    public Uri First => _addresses[0];

    public bool AreSeveral => _addresses.Length > 1;

    /// <param name="text">http:// for HTTP/2 in plain text or https:// for TLS, host and port; several with commas between, all of one
    /// scheme.</param>
    /// <param name="addresses">Null where this is false.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out SchedulerAddresses? addresses)
    {
        var parts = (text ?? "").Split(',', StringSplitOptions.TrimEntries)
            .Select(part => Uri.TryCreate(part, UriKind.Absolute, out var uri) ? uri : null).OfType<Uri>().ToArray();
        var valid = parts.Length == (text ?? "").Split(',').Length
            && parts.All(uri => uri.Scheme == parts[0].Scheme && uri.Scheme is "http" or "https" && uri.Host.Length > 0);
        addresses = valid ? new SchedulerAddresses(parts) : null;
        return valid;
    }

    /// <summary>Which one calls go to now: of all channels to these schedulers, since what one finds out holds for the others.</summary>
    internal int Current => Volatile.Read(ref _current);

    /// <summary>For calls to the one that answers; the first to begin with.</summary>
    /// <param name="pings">How soon one that says nothing any more is found out.</param>
    /// <param name="certificates">Of https:// addresses, see <see cref="ConnectionPings.Handler"/>.</param>
    public SchedulerChannel OpenChannel(ConnectionPings pings, CertificateFiles? certificates = null) =>
        new(this, _addresses.Select(address => GrpcChannel.ForAddress(
            address, new GrpcChannelOptions { HttpHandler = pings.Handler(address, certificates), DisposeHttpClient = true })));

    /// <summary>That one did not answer: calls go to the next, unless another call has gone on already.</summary>
    internal void Leave(int index) => Interlocked.CompareExchange(ref _current, (index + 1) % _addresses.Length, index);

    public override string ToString() => string.Join(',', _addresses.Select(uri => uri.OriginalString));
}
