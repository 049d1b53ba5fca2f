using System.Net;
using System.Net.Sockets;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>
/// Which address an agent may give for itself: the scheduler calls it, with a secret, so nobody is to send it to this machine's own
/// services, to a cloud's metadata, or to another node.
/// </summary>
internal sealed class AgentAddressRule(NodeStore store, IOptions<NodeOptions> options)
{
    /// <param name="caller">From where the agent registers; null: over no network.</param>
    /// <exception cref="InvalidRegistrationException">The address is not to be called.</exception>
    /// <exception cref="AgentAddressException">Not yet: another node is there, or its name is not found.</exception>
    public async Task CheckAsync(NodeId node, string agentAddress, IPAddress? caller, CancellationToken cancellationToken)
    {
        // What is no address at all its node's grain refuses.
        if (!Uri.TryCreate(agentAddress, UriKind.Absolute, out var address))
            return;
        if (await store.AddressTakenAsync(node, agentAddress, cancellationToken))
        {
            throw new AgentAddressException(
                $"agent_address is '{agentAddress}', at which another node is; give each agent its own, or wait for that lease");
        }

        var networks = options.Value.Networks;
        if (networks.Count == 0 && IsHere(caller))
            return;
        foreach (var host in await ResolveAsync(address, agentAddress, cancellationToken))
        {
            if (Fault(host, IsHere(caller), networks) is { } fault)
                throw Refused(agentAddress, fault, "set Agent:AdvertiseHost to the address by which the scheduler reaches the node");
        }
    }

    /// <returns>What is wrong with an address, in words; null when it may be called.</returns>
    internal static string? Fault(IPAddress host, bool isCallerHere, IReadOnlyList<IPNetwork> networks)
    {
        var plain = Plain(host);
        if (networks.Count > 0 && !networks.Any(network => network.Contains(plain)))
            return $"in none of the networks of {NodeOptions.SectionName}:{nameof(NodeOptions.AgentNetworks)}";
        if (isCallerHere)
            return null;
        if (IPAddress.IsLoopback(plain))
            return "the scheduler's own machine, from which the call does not come";
        if (plain.IsIPv6LinkLocal || plain.IsWildcard() || plain.IsIPv6Multicast || IsIPv4LinkLocalOrMulticast(plain))
            return "of a kind that no node is reached by: link-local, multicast or a wildcard";
        return null;
    }

    private static bool IsHere(IPAddress? caller) => caller is null || IPAddress.IsLoopback(Plain(caller));

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    private static bool IsIPv4LinkLocalOrMulticast(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetwork && address.GetAddressBytes() is [169, 254, ..] or [>= 224, ..];

    private static async Task<IPAddress[]> ResolveAsync(Uri address, string agentAddress, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(address.DnsSafeHost, out var literal))
            return [literal];
        try
        {
            return await Dns.GetHostAddressesAsync(address.DnsSafeHost, cancellationToken);
        }
        catch (SocketException)
        {
            throw new AgentAddressException(
                $"agent_address is '{agentAddress}', a name that is not found here; set Agent:AdvertiseHost to one that is, or an address");
        }
    }

    private static InvalidRegistrationException Refused(string agentAddress, string fault, string remedy) =>
        new($"agent_address is '{agentAddress}', which is {fault}; {remedy}");
}

/// <summary>The agent's address cannot be called now, and may be later. gRPC: Unavailable, so that the agent tries again.</summary>
public sealed class AgentAddressException(string message) : Exception(message);
