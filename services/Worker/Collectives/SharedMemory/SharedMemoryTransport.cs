using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>Exchange between the ranks of one node through memory that all of them map.</summary>
/// <remarks>
/// Values in a <see cref="SharedBuffer"/> are summed where they lie: all arrive, each sums its slice over all buffers and writes it to
/// all of them, all arrive again. Others go through staging slots, a chunk at a time.
/// </remarks>
internal sealed class SharedMemoryTransport : CollectiveTransport
{
    /// <summary>
    /// Up to two ranks it costs less to sum all values oneself than to sum a slice and copy the others' (5 against 5.5 memory accesses
    /// a value), and so it does for any number while the second meeting costs more than the sum.
    /// </summary>
    private const int SmallBytes = 8 << 10;

    /// <summary>Positions within a buffer are below 2 to this power, buffers' numbers above.</summary>
    private const int BufferShift = 48;

    private readonly SharedMemoryReservation reserve;
    private readonly int[] groupRanks;
    private readonly int me;
    private readonly SegmentLayout layout;
    private readonly MappedFile segment;
    private readonly NodeRanks ranks;
    private readonly Mailboxes mailboxes;
    private readonly List<(SharedBuffer Buffer, MappedFile Map)> buffers = [];
    private readonly nint[] addresses;

    private unsafe SharedMemoryTransport(
        SharedMemoryReservation reserve, int[] groupRanks, int me, SegmentLayout layout, MappedFile segment, CollectiveOptions options)
    {
        this.reserve = reserve;
        this.groupRanks = groupRanks;
        this.me = me;
        this.layout = layout;
        this.segment = segment;
        ranks = new NodeRanks(segment.Start, groupRanks, me, options.SpinTime);
        mailboxes = new Mailboxes(segment.Start, layout, ranks, me);
        addresses = new nint[groupRanks.Length];
    }

    public override string Name => "shared-memory";

    /// <summary>Maps the segment and waits until the node's other ranks have done so.</summary>
    /// <param name="groupRanks">The ranks of this node, ascending.</param>
    /// <param name="members">The whole group.</param>
    /// <param name="reserve">Gives the segment.</param>
    /// <param name="options">The same on every rank: they decide the layout.</param>
    /// <param name="cancellationToken">Cancels the reservation.</param>
    public static async Task<SharedMemoryTransport> JoinAsync(
        int[] groupRanks, GroupMembers members, SharedMemoryReservation reserve, CollectiveOptions options,
        CancellationToken cancellationToken)
    {
        var places = new SegmentLayout(groupRanks.Length, options.ChunkBytes);
        var path = await reserve("collectives", places.TotalBytes, cancellationToken);
        var transport = new SharedMemoryTransport(
            reserve, groupRanks, Array.IndexOf(groupRanks, members.Me), places, new MappedFile(path, places.TotalBytes), options);
        try
        {
            transport.ranks.Enter();
            // A thread of its own, because waiting for processes that are only starting may take long.
            await Task.Factory.StartNew(
                () => transport.ranks.Meet(new Operation(OperationKind.Barrier, "join", 0, members, options.ConnectTimeout)),
                cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            return transport;
        }
        catch
        {
            transport.Dispose();
            throw;
        }
    }

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        foreach (var (i, (buffer, map)) in buffers.Index())
        {
            if (buffer.Find(values, operation.Bytes) is { } position)
            {
                ReduceInPlace(map, buffer, position, count, reduction, ((long)(i + 1) << BufferShift) + position, operation);
                return;
            }
        }

        var alone = ranks.Count <= 2 || operation.Bytes <= SmallBytes;
        foreach (var (start, length) in Chunks(count, reduction.ElementBytes))
        {
            var chunk = values + (nint)(start * reduction.ElementBytes);
            if (alone)
                ReduceAlone(chunk, length, reduction, operation);
            else
                ReduceSlices(chunk, length, reduction, operation);
        }
    }

    public override void ReduceScatter(nint input, nint output, long count, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        foreach (var (start, length) in Chunks(count, size * ranks.Count))
        {
            var slot = ranks.Slot;
            for (var part = 0; part < ranks.Count; part++)
                Copy(input + (nint)(((part * count) + start) * size), SlotAddress(me, slot) + (nint)(part * length * size), length * size);
            ranks.Meet(operation);
            ReduceSlots(slot, me * length, output + (nint)(start * size), length, reduction);
        }
    }

    public override void AllGather(nint input, nint output, long bytes, in Operation operation)
    {
        foreach (var (start, length) in Chunks(bytes, 1))
        {
            var slot = ranks.Slot;
            Copy(input + (nint)start, SlotAddress(me, slot), length);
            ranks.Meet(operation);
            for (var rank = 0; rank < ranks.Count; rank++)
                Copy(SlotAddress(rank, slot), output + (nint)((rank * bytes) + start), length);
        }
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        var localRoot = Array.IndexOf(groupRanks, root);
        foreach (var (start, length) in Chunks(bytes, 1))
        {
            var slot = ranks.Slot;
            if (localRoot == me)
                Copy(values + (nint)start, SlotAddress(me, slot), length);
            ranks.Meet(operation);
            if (localRoot != me)
                Copy(SlotAddress(localRoot, slot), values + (nint)start, length);
        }
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation) =>
        mailboxes.Send(values, bytes, Array.IndexOf(groupRanks, destination), operation);

    public override void Receive(nint values, long bytes, int source, in Operation operation) =>
        mailboxes.Receive(values, bytes, Array.IndexOf(groupRanks, source), operation);

    public override void Barrier(in Operation operation) => ranks.Meet(operation);

    /// <summary>
    /// The first half of a sum over several nodes: the first rank of this node gets into <paramref name="values"/> what comes of
    /// <paramref name="carry"/> (what the nodes before have reduced; 0 on the first) and this node's values. The others' stay as they are.
    /// </summary>
    /// <param name="values">No longer than a slot.</param>
    /// <param name="carry">As long.</param>
    /// <param name="count">Elements.</param>
    /// <param name="reduction">What to do.</param>
    /// <param name="isLast">Whether no further node follows.</param>
    /// <param name="operation">The call.</param>
    public void ReduceToFirst(nint values, nint carry, long count, Reduction reduction, bool isLast, in Operation operation)
    {
        var slot = ranks.Slot;
        if (me != 0)
            Copy(values, SlotAddress(me, slot), count * reduction.ElementBytes);
        ranks.Meet(operation);
        if (me != 0)
            return;
        for (var rank = 0; rank < ranks.Count; rank++)
            addresses[rank] = rank == 0 ? values : SlotAddress(rank, slot);
        ReadOnlySpan<nint> all = carry == 0 ? addresses : [carry, .. addresses];
        if (all.Length > 1)
            RankOrder.Reduce(reduction, all, values, values, count, isLast);
    }

    public override async Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken)
    {
        var partBytes = SegmentLayout.RoundUp(bytes);
        var path = await reserve("buffer-" + name, partBytes * ranks.Count, cancellationToken);
        var buffer = new SharedBuffer(path, me * partBytes, partBytes);
        buffers.Add((buffer, new MappedFile(path, partBytes * ranks.Count)));
        return buffer;
    }

    public override void RequirePeers(in Operation operation) => ranks.RequirePeers(operation);

    public override void Abort(int culprit) => ranks.Depart(Departure.Failed, culprit);

    public override void Dispose()
    {
        ranks.Depart(Departure.Left, culprit: 0);
        foreach (var (_, map) in buffers)
            map.Dispose();
        segment.Dispose();
    }

    private unsafe void ReduceInPlace(
        MappedFile map, SharedBuffer buffer, long position, long count, Reduction reduction, long place, in Operation operation)
    {
        var slice = Slices.Of(count, ranks.Count, me);
        for (var rank = 0; rank < ranks.Count; rank++)
            addresses[rank] = (nint)(map.Start + (rank * buffer.Bytes) + position + (slice.Start * reduction.ElementBytes));
        ranks.Meet(operation, place); // everyone's values are there
        RankOrder.ReduceEverywhere(reduction, addresses, slice.Count);
        ranks.Meet(operation, place); // everyone's slices are reduced
    }

    private void ReduceAlone(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        var slot = ranks.Slot;
        Copy(chunk, SlotAddress(me, slot), count * reduction.ElementBytes);
        ranks.Meet(operation);
        ReduceSlots(slot, 0, chunk, count, reduction);
    }

    private void ReduceSlices(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        var valuesSlot = ranks.Slot;
        Copy(chunk, SlotAddress(me, valuesSlot), count * size);
        ranks.Meet(operation);
        var resultsSlot = ranks.Slot;
        var mine = Slices.Of(count, ranks.Count, me);
        ReduceSlots(valuesSlot, mine.Start, SlotAddress(me, resultsSlot) + (nint)(mine.Start * size), mine.Count, reduction);
        ranks.Meet(operation);
        for (var rank = 0; rank < ranks.Count; rank++)
        {
            var slice = Slices.Of(count, ranks.Count, rank);
            Copy(SlotAddress(rank, resultsSlot) + (nint)(slice.Start * size), chunk + (nint)(slice.Start * size), slice.Count * size);
        }
    }

    private void ReduceSlots(int slot, long start, nint target, long count, Reduction reduction)
    {
        for (var rank = 0; rank < ranks.Count; rank++)
            addresses[rank] = SlotAddress(rank, slot) + (nint)(start * reduction.ElementBytes);
        RankOrder.Reduce(reduction, addresses, target, target, count);
    }

    private unsafe nint SlotAddress(int rank, int slot) => (nint)(segment.Start + layout.SlotAt(rank, slot));

    /// <summary>Cuts a buffer so that each piece fits a slot; an empty buffer is one empty piece, because every rank must meet.</summary>
    private IEnumerable<(long Start, long Count)> Chunks(long length, int bytesPerElement)
    {
        var largest = Math.Max(1, layout.SlotBytes / bytesPerElement);
        var start = 0L;
        do
        {
            var count = Math.Min(largest, length - start);
            yield return (start, count);
            start += count;
        }
        while (start < length);
    }
}
