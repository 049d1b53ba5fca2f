using Cluster.Contracts.Tls;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Worker.Collectives;

/// <summary>Where one rank can be reached.</summary>
/// <param name="Rank">Its number.</param>
/// <param name="NodeId">Ranks with the same node id share memory.</param>
/// <param name="Address">
/// <c>host:port</c> at which its peers of other nodes find it, behind <c>tls://</c> where it encrypts; empty where there are none.
/// </param>
public sealed record PeerEndpoint(int Rank, string NodeId, string Address)
{
    /// <summary>What people call the node.</summary>
    public string NodeName { get; init; } = NodeId;
}

/// <summary>Posts this rank's endpoint and gives, once every rank has posted, all of them in rank order.</summary>
public delegate Task<IReadOnlyList<PeerEndpoint>> Rendezvous(PeerEndpoint mine, CancellationToken cancellationToken);

/// <summary>
/// Reserves a segment that all ranks of this node map; the first call for a name makes it, zeroed, and every call gives its path.
/// </summary>
public delegate Task<string> SharedMemoryReservation(string name, long bytes, CancellationToken cancellationToken);

/// <summary>What a rank needs to join its group.</summary>
public sealed record CollectiveSetup
{
    public required int Rank { get; init; }

    public required int WorldSize { get; init; }

    public required string NodeId { get; init; }

    /// <summary>For peers of other nodes; null where all ranks are on this one, and need no network.</summary>
    public PeerAddress? PeerAddress { get; init; }

    /// <summary>Known to the attempt's ranks alone; each proves it to the other before any data flows.</summary>
    public required string Secret { get; init; }

    /// <summary>
    /// This node's, by which ranks of other nodes recognise it and are recognised; what they exchange is encrypted then. Null: it is not.
    /// Given on all nodes or on none.
    /// </summary>
    public CertificateFiles? Certificates { get; init; }

    public required Rendezvous Rendezvous { get; init; }

    public required SharedMemoryReservation ReserveSharedMemory { get; init; }

    /// <summary>
    /// This rank's GPU among those that its process sees; null where values lie in the CPU's memory only. Given on all ranks or on none.
    /// </summary>
    public int? CudaDevice { get; init; }

    /// <summary>Is told what the last operations were when one fails.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    public CollectiveOptions Options { get; init; } = new();

    /// <summary>Shows what is under way; the groups that are split from one have theirs on the same.</summary>
    public OperationBoard Board { get; init; } = new();

    /// <summary>How the ranks of a part of the job are called; null for all.</summary>
    internal GroupMembers? Part { get; init; }

    internal GroupMembers Members => Part ?? GroupMembers.All(WorldSize, Rank);

    /// <summary>Without the secret.</summary>
    public override string ToString() => $"{nameof(CollectiveSetup)} {{ Rank = {Rank}, WorldSize = {WorldSize}, NodeId = {NodeId} }}";
}
