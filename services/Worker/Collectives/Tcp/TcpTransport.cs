using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Exchange over connections between every two ranks: one for what all do together, one for messages.</summary>
internal sealed class TcpTransport : CollectiveTransport
{
    /// <summary>Of a rank's slice of a chunk: what is under way with every peer stays in a core's second-level cache.</summary>
    private const int LargestSliceBytes = 256 << 10;

    private readonly int _rank;
    private readonly PeerLink?[] _links;
    private readonly TcpExchange _exchange;
    private readonly TcpMessages _messages;
    private readonly ScratchMemory _scratch = new();
    private readonly nint[] _addresses;
    private readonly CollectiveOptions _options;

    /// <summary>Takes the connections over.</summary>
    /// <param name="members">The group.</param>
    /// <param name="links">One a rank; null for this one.</param>
    /// <param name="messageLinks">Others, for messages.</param>
    /// <param name="options">Sizes of portions and how values travel.</param>
    public TcpTransport(GroupMembers members, PeerLink?[] links, PeerLink?[] messageLinks, CollectiveOptions options)
    {
        _rank = members.Me;
        _links = links;
        _options = options;
        _exchange = new TcpExchange(links, messageLinks, members, options.SpinTime);
        _messages = new TcpMessages(messageLinks, links, members);
        _addresses = new nint[links.Length];
    }

    public override string Name => IsEncrypted ? "tcp+tls" : "tcp";

    public override bool IsEncrypted => _links.OfType<PeerLink>().Any(link => link.IsEncrypted);

    private int WorldSize => _links.Length;

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        if (operation.Bytes <= _options.OneStepBytes * 4L / ((long)WorldSize * WorldSize))
            ReduceAlone(values, count, reduction, operation);
        else
            ReduceSlices(values, count, reduction, operation);
    }

    public override void ReduceScatter(nint input, nint output, in Shares shares, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        var length = SliceLength(reduction);
        var chunks = checked((int)((shares.Largest + length - 1) / length));
        if (chunks == 0)
        {
            Barrier(operation);
            return;
        }

        var divided = shares;
        Stream(reduction, operation, new StreamedReduction.Plan(
            chunks, length,
            (chunk, part) =>
            {
                var (start, count) = divided.Portion(part, chunk * length, length);
                return (At(input, start, size), count);
            },
            chunk => At(output, chunk * length, size),
            HandRound: false));
    }

    public override void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation)
    {
        var mine = shares[_rank];
        Copy(input, At(output, mine.Start, elementBytes), mine.Count * elementBytes);
        for (var peer = 0; peer < WorldSize; peer++)
        {
            var theirs = shares[peer];
            _links[peer]?.Send(input, mine.Count * elementBytes);
            _links[peer]?.Receive(At(output, theirs.Start, elementBytes), theirs.Count * elementBytes);
        }

        _exchange.Run(operation);
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        if (root == _rank)
        {
            foreach (var link in _links)
                link?.Send(values, bytes);
        }
        else
        {
            _links[root]!.Receive(values, bytes);
        }

        _exchange.Run(operation);
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation) =>
        _messages.Send(values, bytes, destination, operation);

    public override void Receive(nint values, long bytes, int source, in Operation operation) =>
        _messages.Receive(values, bytes, source, operation);

    /// <summary>Queues values for a peer; nothing moves before <see cref="Complete"/>, until when they must stay where they are.</summary>
    public void Post(nint address, long bytes, int destination) => _links[destination]!.Send(address, bytes);

    /// <summary>Queues a place for values of a peer's.</summary>
    public void Expect(nint address, long bytes, int source) => _links[source]!.Receive(address, bytes);

    /// <summary>Moves what has been queued.</summary>
    public void Complete(in Operation operation) => _exchange.Run(operation);

    public override void Barrier(in Operation operation)
    {
        foreach (var link in _links)
        {
            link?.Send(0, 0);
            link?.Receive(0, 0);
        }

        _exchange.Run(operation);
    }

    public override void RequirePeers(in Operation operation) => _exchange.RequirePeers(operation);

    public override void Abort(int culprit)
    {
        _exchange.Abort(culprit);
        _messages.Abort(culprit);
    }

    public override void Dispose()
    {
        foreach (var link in _links)
            link?.Dispose();
        _messages.Dispose();
        _scratch.Dispose();
    }

    private void ReduceAlone(nint values, long count, Reduction reduction, in Operation operation)
    {
        var bytes = count * reduction.ElementBytes;
        var received = _scratch.AtLeast((nuint)(bytes * WorldSize));
        for (var peer = 0; peer < WorldSize; peer++)
        {
            _addresses[peer] = peer == _rank ? values : received + (nint)(peer * bytes);
            _links[peer]?.Send(values, bytes);
            _links[peer]?.Receive(_addresses[peer], bytes);
        }

        _exchange.Run(operation);
        RankOrder.Reduce(reduction, _addresses, _rank < 2 ? values : _addresses[0], values, count);
    }

    private void ReduceSlices(nint values, long count, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        var length = SliceLength(reduction);
        var chunkLength = length * WorldSize;
        Stream(reduction, operation, new StreamedReduction.Plan(
            checked((int)((count + chunkLength - 1) / chunkLength)), length,
            (chunk, part) =>
            {
                var slice = Slices.Of(Math.Min(chunkLength, count - (chunk * chunkLength)), WorldSize, part);
                return (values + (nint)(((chunk * chunkLength) + slice.Start) * size), slice.Count);
            },
            OwnSlice,
            HandRound: true));

        nint OwnSlice(int chunk) =>
            values
            + (nint)(((chunk * chunkLength) + Slices.Of(Math.Min(chunkLength, count - (chunk * chunkLength)), WorldSize, _rank).Start)
                * size);
    }

    private void Stream(Reduction reduction, in Operation operation, StreamedReduction.Plan plan) =>
        new StreamedReduction(_links, reduction, plan, _scratch, _options.WireFormat).Run(_exchange, operation);

    private long SliceLength(Reduction reduction) => Math.Max(1, Math.Min(_options.ChunkBytes, LargestSliceBytes) / reduction.ElementBytes);
}
