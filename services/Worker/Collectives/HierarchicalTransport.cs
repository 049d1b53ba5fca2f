using System.Numerics;
using System.Runtime.InteropServices;
using Cluster.Worker.Collectives.SharedMemory;
using Cluster.Worker.Collectives.Tcp;

namespace Cluster.Worker.Collectives;

/// <summary>Exchange between several nodes with several ranks each: shared memory within a node, TCP between the first ranks of the nodes.</summary>
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
    private readonly int chunkBytes;
    private byte[] scratch = [];
    private byte[] carryScratch = [];

    /// <summary>Takes both transports over.</summary>
    /// <param name="rank">This rank.</param>
    /// <param name="nodes">Each node's ranks, consecutive and ascending, in rank order.</param>
    /// <param name="local">Joins the ranks of this node.</param>
    /// <param name="remote">Joins all ranks.</param>
    /// <param name="chunkBytes">Bytes that pass along the chain at a time.</param>
    public HierarchicalTransport(int rank, int[][] nodes, SharedMemoryTransport local, TcpTransport remote, int chunkBytes)
    {
        this.rank = rank;
        this.nodes = nodes;
        this.local = local;
        this.remote = remote;
        this.chunkBytes = chunkBytes;
        node = NodeOf(rank);
    }

    public override string Name => "hierarchical";

    /// <summary>Ranks that others than the leader may have between them and a late one: their leader, and a leader a node.</summary>
    private int LongestChain => nodes.Length + 2;

    private int Leader => nodes[node][0];

    private bool IsLeader => rank == Leader;

    private bool IsFirstNode => node == 0;

    private bool IsLastNode => node == nodes.Length - 1;

    public override void AllReduce<T>(Span<T> values, in Operation operation)
    {
        var chunkLength = Math.Max(1, chunkBytes / SizeOf<T>());
        for (var start = 0; start < values.Length; start += chunkLength)
            PassOn(values.Slice(start, Math.Min(chunkLength, values.Length - start)), operation);
        for (var start = 0; start < values.Length; start += chunkLength)
            HandBack(values.Slice(start, Math.Min(chunkLength, values.Length - start)), operation);
    }

    public override void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, in Operation operation)
    {
        // The chain leaves the whole sum everywhere anyway.
        var sums = MemoryMarshal.Cast<byte, T>(Scratch(input.Length * SizeOf<T>()));
        input.CopyTo(sums);
        AllReduce(sums, operation);
        sums.Slice(rank * output.Length, output.Length).CopyTo(output);
    }

    public override void AllGather(ReadOnlySpan<byte> input, Span<byte> output, in Operation operation)
    {
        local.AllGather(input, output.Slice(Leader * input.Length, nodes[node].Length * input.Length), Within(operation));
        if (IsLeader)
            ExchangeNodes(output, input.Length, operation);

        local.Broadcast(output, Leader, Within(operation));
    }

    public override void Broadcast(Span<byte> values, int root, in Operation operation)
    {
        var source = NodeOf(root);
        if (source == node)
            local.Broadcast(values, root, Within(operation));
        if (IsLeader && source == node)
            SendToLeaders(values, operation);
        else if (IsLeader)
            remote.Receive(values, nodes[source][0], operation.Behind(1));

        if (source != node)
            local.Broadcast(values, Leader, Within(operation));
    }

    public override void Send(ReadOnlySpan<byte> values, int destination, in Operation operation) =>
        Towards(destination).Send(values, destination, operation);

    public override void Receive(Span<byte> values, int source, in Operation operation) =>
        Towards(source).Receive(values, source, operation);

    public override void Barrier(in Operation operation)
    {
        local.Barrier(Within(operation));
        if (IsLeader)
            ExchangeNodes([], 0, operation);

        local.Barrier(Within(operation));
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
    }

    /// <summary>Each leader hands its node's part of <paramref name="all"/> to the other leaders; a rank's part has so many bytes.</summary>
    private unsafe void ExchangeNodes(Span<byte> all, int bytesPerRank, in Operation operation)
    {
        fixed (byte* start = all)
        {
            foreach (var peers in nodes.Where(peers => peers != nodes[node]))
            {
                remote.Post((nint)(start + ((long)Leader * bytesPerRank)), nodes[node].Length * bytesPerRank, peers[0]);
                remote.Expect((nint)(start + ((long)peers[0] * bytesPerRank)), peers.Length * bytesPerRank, peers[0]);
            }

            remote.Complete(operation.Behind(1));
        }
    }

    private unsafe void SendToLeaders(Span<byte> values, in Operation operation)
    {
        fixed (byte* start = values)
        {
            foreach (var peers in nodes.Where(peers => peers != nodes[node]))
                remote.Post((nint)start, values.Length, peers[0]);
            remote.Complete(operation.Behind(1));
        }
    }

    /// <summary>Adds this node's values to those of the nodes before; the last node's leader then holds the sum of all.</summary>
    private void PassOn<T>(Span<T> chunk, in Operation operation)
        where T : unmanaged, INumber<T>
    {
        Span<T> carry = [];
        if (IsLeader && !IsFirstNode)
        {
            carry = MemoryMarshal.Cast<byte, T>(CarryScratch(chunk.Length * SizeOf<T>()));
            remote.Receive(MemoryMarshal.AsBytes(carry), nodes[node - 1][0], operation.Behind(node));
        }

        local.ReduceToFirst(chunk, carry, Within(operation));
        if (IsLeader && !IsLastNode)
            remote.Send(MemoryMarshal.AsBytes(chunk), nodes[node + 1][0], operation);
    }

    private void HandBack<T>(Span<T> chunk, in Operation operation)
        where T : unmanaged, INumber<T>
    {
        var bytes = MemoryMarshal.AsBytes(chunk);
        if (IsLeader && !IsLastNode)
            remote.Receive(bytes, nodes[node + 1][0], operation.Behind(nodes.Length - node));
        if (IsLeader && !IsFirstNode)
            remote.Send(bytes, nodes[node - 1][0], operation);
        local.Broadcast(bytes, Leader, Within(operation));
    }

    private Span<byte> CarryScratch(int bytes) => Grown(ref carryScratch, bytes);

    private Span<byte> Scratch(int bytes) => Grown(ref scratch, bytes);

    private static Span<byte> Grown(ref byte[] memory, int bytes)
    {
        if (memory.Length < bytes)
            memory = GC.AllocateUninitializedArray<byte>(bytes);
        return memory.AsSpan(0, bytes);
    }

    /// <summary>A leader sees a late rank of its node at first hand; the others may be waiting for a leader that waits.</summary>
    private Operation Within(in Operation operation) => IsLeader ? operation : operation.Behind(LongestChain);

    private CollectiveTransport Towards(int peer) => NodeOf(peer) == node ? local : remote;

    private int NodeOf(int peer) => Array.FindIndex(nodes, ranks => ranks.Contains(peer));

    private static unsafe int SizeOf<T>()
        where T : unmanaged => sizeof(T);
}
