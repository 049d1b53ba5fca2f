using System.Net;

namespace Cluster.Contracts.Access;

/// <summary>
/// 0.0.0.0 and ::, which mean all of a machine's addresses to who listens, and nobody to who calls: so they are never told to others.
/// </summary>
public static class WildcardAddress
{
    public static bool IsWildcard(this IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return plain.Equals(IPAddress.Any) || plain.Equals(IPAddress.IPv6Any);
    }
}
