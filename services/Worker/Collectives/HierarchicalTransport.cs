using Cluster.Worker.Collectives.Reductions;
using Cluster.Worker.Collectives.SharedMemory;
using Cluster.Worker.Collectives.Tcp;

namespace Cluster.Worker.Collectives;

/// <summary>
/// Exchange between several nodes with several ranks each: shared memory within a node, TCP between the first ranks of the nodes.
/// </summary>
/// <remarks>
/// A sum runs along the nodes as a chain, chunk after chunk: each node adds its ranks to what the nodes before have summed, and the
/// last hands the result back. So it is the same ((r0 + r1) + r2) + … as on one node, which sums taken node by node and then added
/// would not be. It needs the ranks of a node to be consecutive; <see cref="CollectiveGroup.JoinAsync"/> uses TCP alone where they are not.
/// </remarks>
internal sealed class HierarchicalTransport : CollectiveTransport
{
    private readonly int rank;
    private readonly int[][] nodes;
    private readonly int node;
    private readonly SharedMemoryTransport local;
    private readonly TcpTransport remote;
    private readonly CollectiveOptions options;
    private readonly ScratchMemory scratch = new();
    private readonly ScratchMemory carryScratch = new();
    private readonly ScratchMemory wireScratch = new();

    /// <summary>Takes both transports over.</summary>
    /// <param name="rank">This rank.</param>
    /// <param name="nodes">Each node's ranks, consecutive and ascending, in rank order.</param>
    /// <param name="local">Joins the ranks of this node.</param>
    /// <param name="remote">Joins all ranks.</param>
    /// <param name="options">How many bytes pass along the chain at a time, and in what form.</param>
    public HierarchicalTransport(int rank, int[][] nodes, SharedMemoryTransport local, TcpTransport remote, CollectiveOptions options)
    {
        this.rank = rank;
        this.nodes = nodes;
        this.local = local;
        this.remote = remote;
        this.options = options;
        node = NodeOf(rank);
    }

    public override string Name => "hierarchical";

    /// <summary>Ranks that others than the leader may have between them and a late one: their leader, and a leader a node.</summary>
    private int LongestChain => nodes.Length + 2;

    private int Leader => nodes[node][0];

    private bool IsLeader => rank == Leader;

    private bool IsFirstNode => node == 0;

    private bool IsLastNode => node == nodes.Length - 1;

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        var chunkLength = Math.Max(1, options.ChunkBytes / reduction.ElementBytes);
        for (var start = 0L; start < count; start += chunkLength)
            PassOn(values + (nint)(start * reduction.ElementBytes), Math.Min(chunkLength, count - start), reduction, operation);
        for (var start = 0L; start < count; start += chunkLength)
            HandBack(values + (nint)(start * reduction.ElementBytes), Math.Min(chunkLength, count - start), reduction, operation);
    }

    public override void ReduceScatter(nint input, nint output, long count, Reduction reduction, in Operation operation)
    {
        // The chain leaves the whole result everywhere anyway.
        var all = count * nodes.Sum(peers => peers.Length);
        var results = scratch.AtLeast((nuint)(all * reduction.ElementBytes));
        Copy(input, results, all * reduction.ElementBytes);
        AllReduce(results, all, reduction, operation);
        Copy(results + (nint)(rank * count * reduction.ElementBytes), output, count * reduction.ElementBytes);
    }

    public override void AllGather(nint input, nint output, long bytes, in Operation operation)
    {
        local.AllGather(input, output + (nint)(Leader * bytes), bytes, Within(operation));
        if (IsLeader)
            ExchangeNodes(output, bytes, operation);

        local.Broadcast(output, bytes * nodes.Sum(peers => peers.Length), Leader, Within(operation));
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        var source = NodeOf(root);
        if (source == node)
            local.Broadcast(values, bytes, root, Within(operation));
        if (IsLeader && source == node)
            SendToLeaders(values, bytes, operation);
        else if (IsLeader)
            ReceiveFrom(nodes[source][0], values, bytes, operation.Behind(1));

        if (source != node)
            local.Broadcast(values, bytes, Leader, Within(operation));
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation) =>
        Towards(destination).Send(values, bytes, destination, operation);

    public override void Receive(nint values, long bytes, int source, in Operation operation) =>
        Towards(source).Receive(values, bytes, source, operation);

    public override void Barrier(in Operation operation)
    {
        local.Barrier(Within(operation));
        if (IsLeader)
            ExchangeNodes(0, 0, operation);

        local.Barrier(Within(operation));
    }

    public override void RequirePeers(in Operation operation)
    {
        local.RequirePeers(operation);
        remote.RequirePeers(operation);
    }

    public override void Abort(int culprit)
    {
        local.Abort(culprit);
        remote.Abort(culprit);
    }

    public override void Dispose()
    {
        local.Dispose();
        remote.Dispose();
        scratch.Dispose();
        carryScratch.Dispose();
        wireScratch.Dispose();
    }

    /// <summary>
    /// Each leader hands its node's part of <paramref name="all"/> to the other leaders; a rank's part has so many bytes.
    /// </summary>
    private void ExchangeNodes(nint all, long bytesPerRank, in Operation operation)
    {
        foreach (var peers in nodes.Where(peers => peers != nodes[node]))
        {
            remote.Post(all + (nint)(Leader * bytesPerRank), nodes[node].Length * bytesPerRank, peers[0]);
            remote.Expect(all + (nint)(peers[0] * bytesPerRank), peers.Length * bytesPerRank, peers[0]);
        }

        remote.Complete(operation.Behind(1));
    }

    private void SendToLeaders(nint values, long bytes, in Operation operation)
    {
        foreach (var peers in nodes.Where(peers => peers != nodes[node]))
            remote.Post(values, bytes, peers[0]);
        remote.Complete(operation.Behind(1));
    }

    /// <summary>Reduces this node's values and those of the nodes before; the last node's leader then holds the result of all.</summary>
    private void PassOn(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        nint carry = 0;
        if (IsLeader && !IsFirstNode)
        {
            carry = carryScratch.AtLeast((nuint)(count * reduction.ElementBytes));
            ReceiveValues(nodes[node - 1][0], carry, count, reduction, operation.Behind(node));
        }

        local.ReduceToFirst(chunk, carry, count, reduction, IsLastNode, Within(operation));
        if (IsLeader && !IsLastNode)
            SendValues(nodes[node + 1][0], chunk, count, reduction, operation);
    }

    private void HandBack(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        if (IsLeader && !IsLastNode)
            ReceiveValues(nodes[node + 1][0], chunk, count, reduction, operation.Behind(nodes.Length - node));
        if (IsLeader && !IsFirstNode)
            SendValues(nodes[node - 1][0], chunk, count, reduction, operation);
        if (IsLeader && IsLastNode && IsNarrowed(reduction))
            BFloat16Wire.Unpack(wireScratch.AtLeast(0), chunk, count); // what it has just sent: all must hold the same
        local.Broadcast(chunk, count * reduction.ElementBytes, Leader, Within(operation));
    }

    private void SendValues(int leader, nint values, long count, Reduction reduction, in Operation operation)
    {
        if (IsNarrowed(reduction))
            SendTo(leader, BFloat16Wire.Pack(values, wireScratch.AtLeast((nuint)(count * BFloat16Wire.ElementBytes)), count),
                count * BFloat16Wire.ElementBytes, operation);
        else
            SendTo(leader, values, count * reduction.ElementBytes, operation);
    }

    private void ReceiveValues(int leader, nint values, long count, Reduction reduction, in Operation operation)
    {
        if (!IsNarrowed(reduction))
        {
            ReceiveFrom(leader, values, count * reduction.ElementBytes, operation);
            return;
        }

        var packed = wireScratch.AtLeast((nuint)(count * BFloat16Wire.ElementBytes));
        ReceiveFrom(leader, packed, count * BFloat16Wire.ElementBytes, operation);
        BFloat16Wire.Unpack(packed, values, count);
    }

    private bool IsNarrowed(Reduction reduction) => options.WireFormat == WireFormat.BFloat16 && reduction.IsFloat32;

    private void SendTo(int leader, nint values, long bytes, in Operation operation)
    {
        remote.Post(values, bytes, leader);
        remote.Complete(operation);
    }

    private void ReceiveFrom(int leader, nint values, long bytes, in Operation operation)
    {
        remote.Expect(values, bytes, leader);
        remote.Complete(operation);
    }

    /// <summary>A leader sees a late rank of its node at first hand; the others may be waiting for a leader that waits.</summary>
    private Operation Within(in Operation operation) => IsLeader ? operation : operation.Behind(LongestChain);

    private CollectiveTransport Towards(int peer) => NodeOf(peer) == node ? local : remote;

    private int NodeOf(int peer) => Array.FindIndex(nodes, ranks => ranks.Contains(peer));
}
