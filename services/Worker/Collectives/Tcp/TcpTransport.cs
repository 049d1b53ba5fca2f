using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Exchange over connections between every two ranks: one for what all do together, one for messages.</summary>
internal sealed class TcpTransport : CollectiveTransport
{
    /// <summary>Of a rank's slice of a chunk: what is under way with every peer stays in a core's second-level cache.</summary>
    private const int LargestSliceBytes = 256 << 10;

    private readonly int rank;
    private readonly PeerLink?[] links;
    private readonly TcpExchange exchange;
    private readonly TcpMessages messages;
    private readonly ScratchMemory scratch = new();
    private readonly nint[] addresses;
    private readonly CollectiveOptions options;

    /// <summary>Takes the connections over.</summary>
    /// <param name="members">The group.</param>
    /// <param name="links">One a rank; null for this one.</param>
    /// <param name="messageLinks">Others, for messages.</param>
    /// <param name="options">Sizes of portions and how values travel.</param>
    public TcpTransport(GroupMembers members, PeerLink?[] links, PeerLink?[] messageLinks, CollectiveOptions options)
    {
        rank = members.Me;
        this.links = links;
        this.options = options;
        exchange = new TcpExchange(links, messageLinks, members, options.SpinTime);
        messages = new TcpMessages(messageLinks, links, members);
        addresses = new nint[links.Length];
    }

    public override string Name => "tcp";

    private int WorldSize => links.Length;

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        if (operation.Bytes <= options.OneStepBytes * 4L / ((long)WorldSize * WorldSize))
            ReduceAlone(values, count, reduction, operation);
        else
            ReduceSlices(values, count, reduction, operation);
    }

    public override void ReduceScatter(nint input, nint output, long count, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        var length = SliceLength(reduction);
        var chunks = checked((int)((count + length - 1) / length));
        if (chunks == 0)
        {
            Barrier(operation);
            return;
        }

        Stream(reduction, operation, new StreamedReduction.Plan(
            chunks, length,
            (chunk, part) => (input + (nint)(((part * count) + (chunk * length)) * size), Math.Min(length, count - (chunk * length))),
            chunk => output + (nint)(chunk * length * size),
            HandRound: false));
    }

    public override void AllGather(nint input, nint output, long bytes, in Operation operation)
    {
        Copy(input, output + (nint)(rank * bytes), bytes);
        for (var peer = 0; peer < WorldSize; peer++)
        {
            links[peer]?.Send(input, bytes);
            links[peer]?.Receive(output + (nint)(peer * bytes), bytes);
        }

        exchange.Run(operation);
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        if (root == rank)
        {
            foreach (var link in links)
                link?.Send(values, bytes);
        }
        else
        {
            links[root]!.Receive(values, bytes);
        }

        exchange.Run(operation);
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation) =>
        messages.Send(values, bytes, destination, operation);

    public override void Receive(nint values, long bytes, int source, in Operation operation) =>
        messages.Receive(values, bytes, source, operation);

    /// <summary>Queues values for a peer; nothing moves before <see cref="Complete"/>, until when they must stay where they are.</summary>
    public void Post(nint address, long bytes, int destination) => links[destination]!.Send(address, bytes);

    /// <summary>Queues a place for values of a peer's.</summary>
    public void Expect(nint address, long bytes, int source) => links[source]!.Receive(address, bytes);

    /// <summary>Moves what has been queued.</summary>
    public void Complete(in Operation operation) => exchange.Run(operation);

    public override void Barrier(in Operation operation)
    {
        foreach (var link in links)
        {
            link?.Send(0, 0);
            link?.Receive(0, 0);
        }

        exchange.Run(operation);
    }

    public override void RequirePeers(in Operation operation) => exchange.RequirePeers(operation);

    public override void Abort(int culprit)
    {
        exchange.Abort(culprit);
        messages.Abort(culprit);
    }

    public override void Dispose()
    {
        foreach (var link in links)
            link?.Dispose();
        messages.Dispose();
        scratch.Dispose();
    }

    private void ReduceAlone(nint values, long count, Reduction reduction, in Operation operation)
    {
        var bytes = count * reduction.ElementBytes;
        var received = scratch.AtLeast((nuint)(bytes * WorldSize));
        for (var peer = 0; peer < WorldSize; peer++)
        {
            addresses[peer] = peer == rank ? values : received + (nint)(peer * bytes);
            links[peer]?.Send(values, bytes);
            links[peer]?.Receive(addresses[peer], bytes);
        }

        exchange.Run(operation);
        RankOrder.Reduce(reduction, addresses, rank < 2 ? values : addresses[0], values, count);
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
            values + (nint)(((chunk * chunkLength) + Slices.Of(Math.Min(chunkLength, count - (chunk * chunkLength)), WorldSize, rank).Start)
                * size);
    }

    private void Stream(Reduction reduction, in Operation operation, StreamedReduction.Plan plan) =>
        new StreamedReduction(links, reduction, plan, scratch, options.WireFormat).Run(exchange, operation);

    private long SliceLength(Reduction reduction) => Math.Max(1, Math.Min(options.ChunkBytes, LargestSliceBytes) / reduction.ElementBytes);
}
