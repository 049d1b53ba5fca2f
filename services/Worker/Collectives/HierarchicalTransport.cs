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
    private readonly int _rank;
    private readonly int[][] _nodes;
    private readonly int _node;
    private readonly SharedMemoryTransport _local;
    private readonly TcpTransport _remote;
    private readonly CollectiveOptions _options;
    private readonly ScratchMemory _scratch = new();
    private readonly ScratchMemory _carryScratch = new();
    private readonly ScratchMemory _wireScratch = new();

    /// <summary>Takes both transports over.</summary>
    /// <param name="rank">This rank.</param>
    /// <param name="nodes">Each node's ranks, consecutive and ascending, in rank order.</param>
    /// <param name="local">Joins the ranks of this node.</param>
    /// <param name="remote">Joins all ranks.</param>
    /// <param name="options">How many bytes pass along the chain at a time, and in what form.</param>
    public HierarchicalTransport(int rank, int[][] nodes, SharedMemoryTransport local, TcpTransport remote, CollectiveOptions options)
    {
        _rank = rank;
        _nodes = nodes;
        _local = local;
        _remote = remote;
        _options = options;
        _node = NodeOf(rank);
    }

    public override string Name => IsEncrypted ? "hierarchical+tls" : "hierarchical";

    public override bool IsEncrypted => _remote.IsEncrypted;

    /// <summary>Ranks that others than the leader may have between them and a late one: their leader, and a leader a node.</summary>
    private int LongestChain => _nodes.Length + 2;

    private int Leader => _nodes[_node][0];

    private bool IsLeader => _rank == Leader;

    private bool IsFirstNode => _node == 0;

    private bool IsLastNode => _node == _nodes.Length - 1;

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        foreach (var (chunk, length) in Chunks(values, count, reduction))
            PassOn(chunk, length, reduction, operation);
        foreach (var (chunk, length) in Chunks(values, count, reduction))
            HandBack(chunk, length, reduction, operation);
    }

    public override void ReduceScatter(nint input, nint output, in Shares shares, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        var values = input;
        if (output != At(input, shares[_rank].Start, size))
        {
            values = _scratch.AtLeast((nuint)(shares.Count * size)); // the chain reduces in place
            Copy(input, values, shares.Count * size);
        }

        foreach (var (chunk, length) in Chunks(values, shares.Count, reduction))
            PassOn(chunk, length, reduction, operation);
        HandOut(values, output, shares, reduction, operation);
    }

    public override void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation)
    {
        var ofNode = At(output, shares[Leader].Start, elementBytes);
        _local.AllGather(input, ofNode, shares.Of(Leader, _nodes[_node].Length), elementBytes, Within(operation));
        if (IsLeader)
            ExchangeNodes(output, shares, elementBytes, operation);

        _local.Broadcast(output, shares.Count * elementBytes, Leader, Within(operation));
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        var source = NodeOf(root);
        if (source == _node)
            _local.Broadcast(values, bytes, root, Within(operation));
        if (IsLeader && source == _node)
            SendToLeaders(values, bytes, operation);
        else if (IsLeader)
            ReceiveFrom(_nodes[source][0], values, bytes, operation.Behind(1));

        if (source != _node)
            _local.Broadcast(values, bytes, Leader, Within(operation));
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation) =>
        Towards(destination).Send(values, bytes, destination, operation);

    public override void Receive(nint values, long bytes, int source, in Operation operation) =>
        Towards(source).Receive(values, bytes, source, operation);

    public override void Barrier(in Operation operation)
    {
        _local.Barrier(Within(operation));
        if (IsLeader)
            ExchangeNodes(0, default, 0, operation);

        _local.Barrier(Within(operation));
    }

    public override void RequirePeers(in Operation operation)
    {
        _local.RequirePeers(operation);
        _remote.RequirePeers(operation);
    }

    public override void Abort(int culprit)
    {
        _local.Abort(culprit);
        _remote.Abort(culprit);
    }

    public override void Dispose()
    {
        _local.Dispose();
        _remote.Dispose();
        _scratch.Dispose();
        _carryScratch.Dispose();
        _wireScratch.Dispose();
    }

    /// <summary>Each leader hands what its node's ranks have of <paramref name="all"/> to the other leaders.</summary>
    private void ExchangeNodes(nint all, in Shares shares, int elementBytes, in Operation operation)
    {
        var own = shares.Of(Leader, _nodes[_node].Length).Count * elementBytes;
        foreach (var peers in _nodes.Where(peers => peers != _nodes[_node]))
        {
            _remote.Post(At(all, shares[Leader].Start, elementBytes), own, peers[0]);
            _remote.Expect(At(all, shares[peers[0]].Start, elementBytes), shares.Of(peers[0], peers.Length).Count * elementBytes, peers[0]);
        }

        _remote.Complete(operation.Behind(1));
    }

    private IEnumerable<(nint Chunk, long Count)> Chunks(nint values, long count, Reduction reduction)
    {
        var length = Math.Max(1, _options.ChunkBytes / reduction.ElementBytes);
        for (var start = 0L; start < count; start += length)
            yield return (At(values, start, reduction.ElementBytes), Math.Min(length, count - start));
    }

    private void SendToLeaders(nint values, long bytes, in Operation operation)
    {
        foreach (var peers in _nodes.Where(peers => peers != _nodes[_node]))
            _remote.Post(values, bytes, peers[0]);
        _remote.Complete(operation.Behind(1));
    }

    /// <summary>Reduces this node's values and those of the nodes before; the last node's leader then holds the result of all.</summary>
    private void PassOn(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        nint carry = 0;
        if (IsLeader && !IsFirstNode)
        {
            carry = _carryScratch.AtLeast((nuint)(count * reduction.ElementBytes));
            ReceiveValues(_nodes[_node - 1][0], carry, count, reduction, operation.Behind(_node));
        }

        _local.ReduceToFirst(chunk, carry, count, reduction, IsLastNode, Within(operation));
        if (IsLeader && !IsLastNode)
            SendValues(_nodes[_node + 1][0], chunk, count, reduction, operation);
    }

    private void HandBack(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        if (IsLeader && !IsLastNode)
            ReceiveValues(_nodes[_node + 1][0], chunk, count, reduction, operation.Behind(_nodes.Length - _node));
        if (IsLeader && !IsFirstNode)
            SendValues(_nodes[_node - 1][0], chunk, count, reduction, operation);
        if (IsLeader && IsLastNode && IsNarrowed(reduction))
            BFloat16Wire.Unpack(_wireScratch.AtLeast(0), chunk, count); // what it has just sent: all must hold the same
        _local.Broadcast(chunk, count * reduction.ElementBytes, Leader, Within(operation));
    }

    /// <summary>The last node's leader, which holds the result of all, sends each node the shares of its ranks.</summary>
    private void HandOut(nint values, nint output, in Shares shares, Reduction reduction, in Operation operation)
    {
        if (IsLeader && IsLastNode)
        {
            foreach (var peers in _nodes[..^1])
            {
                foreach (var (chunk, count) in ChunksOf(peers, values, shares, reduction))
                    SendValues(peers[0], chunk, count, reduction, operation);
            }
        }
        else if (IsLeader)
        {
            foreach (var (chunk, count) in ChunksOf(_nodes[_node], values, shares, reduction))
                ReceiveValues(_nodes[^1][0], chunk, count, reduction, operation.Behind(_nodes.Length - _node));
        }

        var ofNode = At(values, shares[Leader].Start, reduction.ElementBytes);
        _local.ScatterFromFirst(ofNode, output, shares.Of(Leader, _nodes[_node].Length), reduction.ElementBytes, Within(operation));
    }

    private IEnumerable<(nint Chunk, long Count)> ChunksOf(int[] peers, nint values, in Shares shares, Reduction reduction) =>
        Chunks(At(values, shares[peers[0]].Start, reduction.ElementBytes), shares.Of(peers[0], peers.Length).Count, reduction);

    private void SendValues(int leader, nint values, long count, Reduction reduction, in Operation operation)
    {
        if (IsNarrowed(reduction))
            SendTo(leader, BFloat16Wire.Pack(values, _wireScratch.AtLeast((nuint)(count * BFloat16Wire.ElementBytes)), count),
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

        var packed = _wireScratch.AtLeast((nuint)(count * BFloat16Wire.ElementBytes));
        ReceiveFrom(leader, packed, count * BFloat16Wire.ElementBytes, operation);
        BFloat16Wire.Unpack(packed, values, count);
    }

    private bool IsNarrowed(Reduction reduction) => _options.WireFormat == WireFormat.BFloat16 && reduction.IsFloat32;

    private void SendTo(int leader, nint values, long bytes, in Operation operation)
    {
        _remote.Post(values, bytes, leader);
        _remote.Complete(operation);
    }

    private void ReceiveFrom(int leader, nint values, long bytes, in Operation operation)
    {
        _remote.Expect(values, bytes, leader);
        _remote.Complete(operation);
    }

    /// <summary>A leader sees a late rank of its node at first hand; the others may be waiting for a leader that waits.</summary>
    private Operation Within(in Operation operation) => IsLeader ? operation : operation.Behind(LongestChain);

    private CollectiveTransport Towards(int peer) => NodeOf(peer) == _node ? _local : _remote;

    private int NodeOf(int peer) => Array.FindIndex(_nodes, ranks => ranks.Contains(peer));
}
