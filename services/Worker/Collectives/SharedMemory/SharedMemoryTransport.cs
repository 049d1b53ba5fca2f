using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>Exchange between the ranks of one node through memory that all of them map.</summary>
/// <remarks>
/// Values in a <see cref="SharedBuffer"/> are summed where they lie: all arrive, each sums its slice over all buffers and writes it to
/// all of them (in a reduce-scatter to its own), all arrive again. Others go through staging slots, a chunk at a time.
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
        int[] groupRanks, GroupMembers members, SharedMemoryReservation reserve, CollectiveOptions options, CancellationToken cancellationToken)
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
        if (Locate(values, operation.Bytes) is { } located)
        {
            var (start, length) = Slices.Of(count, ranks.Count, me);
            AddressAll(located, start * reduction.ElementBytes);
            ranks.Meet(operation, located.Place); // everyone's values are there
            RankOrder.ReduceEverywhere(reduction, addresses, length);
            ranks.Meet(operation, located.Place); // everyone's slices are reduced
            return;
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

    public override void ReduceScatter(nint input, nint output, in Shares shares, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        var mine = shares[me];
        if (output == At(input, mine.Start, size) && Locate(input, operation.Bytes) is { } located)
        {
            AddressAll(located, mine.Start * size);
            ranks.Meet(operation, located.Place); // everyone's values are there
            RankOrder.Reduce(reduction, addresses, me < 2 ? addresses[me] : addresses[0], addresses[me], mine.Count);
            ranks.Meet(operation, located.Place); // everyone has read this rank's
            return;
        }

        foreach (var (start, length) in Chunks(shares.Largest, size * ranks.Count))
        {
            var slot = ranks.Slot;
            for (var rank = 0; rank < ranks.Count; rank++)
            {
                var theirs = shares.Portion(rank, start, length);
                Copy(At(input, theirs.Start, size), At(SlotAddress(me, slot), rank * length, size), theirs.Count * size);
            }

            ranks.Meet(operation);
            ReduceSlots(slot, me * length, At(output, start, size), shares.Portion(me, start, length).Count, reduction);
        }
    }

    public override void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation)
    {
        foreach (var (start, length) in Chunks(shares.Largest, elementBytes))
        {
            var slot = ranks.Slot;
            var from = At(input, start, elementBytes);
            Copy(from, SlotAddress(me, slot), shares.Portion(me, start, length).Count * elementBytes);
            ranks.Meet(operation);
            for (var rank = 0; rank < ranks.Count; rank++)
            {
                var theirs = shares.Portion(rank, start, length);
                Copy(rank == me ? from : SlotAddress(rank, slot), At(output, theirs.Start, elementBytes), theirs.Count * elementBytes);
            }
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

    /// <summary>Hands out what the first rank of this node holds, to each its share.</summary>
    /// <param name="values">The first rank's.</param>
    /// <param name="output">Of this rank's share; on the first possibly where it lies already.</param>
    /// <param name="shares">Of this node's ranks.</param>
    /// <param name="elementBytes">Size of an element.</param>
    /// <param name="operation">The call.</param>
    public void ScatterFromFirst(nint values, nint output, in Shares shares, int elementBytes, in Operation operation)
    {
        var mine = shares[me];
        foreach (var (start, length) in Chunks(shares.Count, elementBytes))
        {
            var slot = ranks.Slot;
            if (me == 0)
                Copy(At(values, start, elementBytes), SlotAddress(me, slot), length * elementBytes);
            ranks.Meet(operation);
            var first = Math.Max(start, mine.Start);
            var end = Math.Min(start + length, mine.Start + mine.Count);
            if (first >= end)
                continue;
            var handed = At(SlotAddress(0, slot), first - start, elementBytes);
            Copy(handed, At(output, first - mine.Start, elementBytes), (end - first) * elementBytes);
        }
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

    /// <summary>Which shared buffer values lie in; null where they lie in none.</summary>
    private Located? Locate(nint values, long bytes)
    {
        foreach (var (i, (buffer, map)) in buffers.Index())
        {
            if (buffer.Find(values, bytes) is { } position)
                return new Located(map, buffer.Bytes, position, ((long)(i + 1) << BufferShift) + position);
        }

        return null;
    }

    /// <summary>Finds each rank's values, from a byte of the located ones on.</summary>
    private unsafe void AddressAll(in Located located, long begin)
    {
        for (var rank = 0; rank < ranks.Count; rank++)
            addresses[rank] = (nint)(located.Map.Start + (rank * located.PartBytes) + located.Position + begin);
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

    /// <param name="Map">Of the buffer's file.</param>
    /// <param name="PartBytes">A rank's part of it.</param>
    /// <param name="Position">Of the values within the part.</param>
    /// <param name="Place">What all ranks must agree on: buffer and position.</param>
    private readonly record struct Located(MappedFile Map, long PartBytes, long Position, long Place);
}
