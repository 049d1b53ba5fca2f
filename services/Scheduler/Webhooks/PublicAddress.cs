using System.Net;
using System.Net.Sockets;

namespace Cluster.Scheduler.Webhooks;

/// <summary>Tells addresses of the public internet from those of private networks, this machine, the link, and special use.</summary>
internal static class PublicAddress
{
    // IANA's registries of special-purpose addresses, RFC 6890, as far as they are not globally reachable; multicast; and the ranges that
    // carry an IPv4 address within (6to4, NAT64, Teredo), by which a private one could be meant.
    private static readonly IPNetwork[] NotPublic =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10",
            "fec0::/10", "ff00::/8",
        }.Select(IPNetwork.Parse),
    ];

    public static bool IsPublic(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return plain.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6
            && !Array.Exists(NotPublic, network => network.Contains(plain));
    }
}
