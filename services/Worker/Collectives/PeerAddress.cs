using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Cluster.Contracts.Access;

namespace Cluster.Worker.Collectives;

/// <summary>
/// Where a rank listens for its peers of other nodes, and where these are told to find it. The two differ behind an address translation, a
/// port mapping or a service, whose address the machine itself does not have: so the one is bound and never told, the other told and never
/// bound.
/// </summary>
/// <param name="Listen">An address of this machine, or a wildcard for all of them.</param>
/// <param name="Host">Name or address that peers of other nodes are told.</param>
public sealed record PeerAddress(IPAddress Listen, string Host)
{
    private const string Encrypted = "tls://";

    /// <summary>Where all nodes are this machine.</summary>
    public static PeerAddress Loopback { get; } = new(IPAddress.Loopback, IPAddress.Loopback.ToString());

    /// <summary>Ports to choose from, such as those that are mapped; by default the system's choice. Peers are told the same.</summary>
    public (int First, int Last) Ports { get; init; }

    /// <summary>By which ranks of this node reach each other: not every translation lets them out and in again.</summary>
    internal IPAddress Local => Listen switch
    {
        { AddressFamily: AddressFamily.InterNetwork } when Listen.IsWildcard() => IPAddress.Loopback,
        _ when Listen.IsWildcard() => IPAddress.IPv6Loopback,
        _ => Listen,
    };

    /// <summary>"host:port", an IPv6 address in brackets; "tls://host:port" where who connects is to encrypt.</summary>
    internal string Told(int port, bool isEncrypted)
    {
        var host = Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host;
        return FormattableString.Invariant($"{(isEncrypted ? Encrypted : "")}{host}:{port}");
    }

    internal static bool IsEncrypted(string told) => told.StartsWith(Encrypted, StringComparison.Ordinal);

    /// <summary>Takes apart what <see cref="Told"/> has put together.</summary>
    internal static (string Host, int Port) Parse(string address)
    {
        if (IsEncrypted(address))
            address = address[Encrypted.Length..];
        var colon = address.LastIndexOf(':');
        return (address[..colon].Trim('[', ']'), int.Parse(address.AsSpan(colon + 1), CultureInfo.InvariantCulture));
    }
}
