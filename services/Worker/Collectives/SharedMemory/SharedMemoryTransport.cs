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

    private readonly SharedMemoryReservation _reserve;
    private readonly int[] _groupRanks;
    private readonly int _me;
    private readonly SegmentLayout _layout;
    private readonly MappedFile _segment;
    private readonly NodeRanks _ranks;
    private readonly Mailboxes _mailboxes;
    private readonly List<(SharedBuffer Buffer, MappedFile Map)> _buffers = [];
    private readonly nint[] _addresses;

    private unsafe SharedMemoryTransport(
        SharedMemoryReservation reserve, int[] groupRanks, int me, SegmentLayout layout, MappedFile segment, CollectiveOptions options)
    {
        _reserve = reserve;
        _groupRanks = groupRanks;
        _me = me;
        _layout = layout;
        _segment = segment;
        _ranks = new NodeRanks(segment.Start, groupRanks, me, options.SpinTime);
        _mailboxes = new Mailboxes(segment.Start, layout, _ranks, me);
        _addresses = new nint[groupRanks.Length];
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
            transport._ranks.Enter();
            // A thread of its own, because waiting for processes that are only starting may take long.
            await Task.Factory.StartNew(
                () => transport._ranks.Meet(new Operation(OperationKind.Barrier, "join", 0, members, options.ConnectTimeout)),
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
            var (start, length) = Slices.Of(count, _ranks.Count, _me);
            AddressAll(located, start * reduction.ElementBytes);
            _ranks.Meet(operation, located.Place); // everyone's values are there
            RankOrder.ReduceEverywhere(reduction, _addresses, length);
            _ranks.Meet(operation, located.Place); // everyone's slices are reduced
            return;
        }

        var alone = _ranks.Count <= 2 || operation.Bytes <= SmallBytes;
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
        var mine = shares[_me];
        if (output == At(input, mine.Start, size) && Locate(input, operation.Bytes) is { } located)
        {
            AddressAll(located, mine.Start * size);
            _ranks.Meet(operation, located.Place); // everyone's values are there
            RankOrder.Reduce(reduction, _addresses, _me < 2 ? _addresses[_me] : _addresses[0], _addresses[_me], mine.Count);
            _ranks.Meet(operation, located.Place); // everyone has read this rank's
            return;
        }

        foreach (var (start, length) in Chunks(shares.Largest, size * _ranks.Count))
        {
            var slot = _ranks.Slot;
            for (var rank = 0; rank < _ranks.Count; rank++)
            {
                var theirs = shares.Portion(rank, start, length);
                Copy(At(input, theirs.Start, size), At(SlotAddress(_me, slot), rank * length, size), theirs.Count * size);
            }

            _ranks.Meet(operation);
            ReduceSlots(slot, _me * length, At(output, start, size), shares.Portion(_me, start, length).Count, reduction);
        }
    }

    public override void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation)
    {
        foreach (var (start, length) in Chunks(shares.Largest, elementBytes))
        {
            var slot = _ranks.Slot;
            var from = At(input, start, elementBytes);
            Copy(from, SlotAddress(_me, slot), shares.Portion(_me, start, length).Count * elementBytes);
            _ranks.Meet(operation);
            for (var rank = 0; rank < _ranks.Count; rank++)
            {
                var theirs = shares.Portion(rank, start, length);
                Copy(rank == _me ? from : SlotAddress(rank, slot), At(output, theirs.Start, elementBytes), theirs.Count * elementBytes);
            }
        }
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        var localRoot = Array.IndexOf(_groupRanks, root);
        foreach (var (start, length) in Chunks(bytes, 1))
        {
            var slot = _ranks.Slot;
            if (localRoot == _me)
                Copy(values + (nint)start, SlotAddress(_me, slot), length);
            _ranks.Meet(operation);
            if (localRoot != _me)
                Copy(SlotAddress(localRoot, slot), values + (nint)start, length);
        }
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation) =>
        _mailboxes.Send(values, bytes, Array.IndexOf(_groupRanks, destination), operation);

    public override void Receive(nint values, long bytes, int source, in Operation operation) =>
        _mailboxes.Receive(values, bytes, Array.IndexOf(_groupRanks, source), operation);

    public override void Barrier(in Operation operation) => _ranks.Meet(operation);

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
        var slot = _ranks.Slot;
        if (_me != 0)
            Copy(values, SlotAddress(_me, slot), count * reduction.ElementBytes);
        _ranks.Meet(operation);
        if (_me != 0)
            return;
        for (var rank = 0; rank < _ranks.Count; rank++)
            _addresses[rank] = rank == 0 ? values : SlotAddress(rank, slot);
        ReadOnlySpan<nint> all = carry == 0 ? _addresses : [carry, .. _addresses];
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
        var mine = shares[_me];
        foreach (var (start, length) in Chunks(shares.Count, elementBytes))
        {
            var slot = _ranks.Slot;
            if (_me == 0)
                Copy(At(values, start, elementBytes), SlotAddress(_me, slot), length * elementBytes);
            _ranks.Meet(operation);
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
        var path = await _reserve("buffer-" + name, partBytes * _ranks.Count, cancellationToken);
        var buffer = new SharedBuffer(path, _me * partBytes, partBytes);
        _buffers.Add((buffer, new MappedFile(path, partBytes * _ranks.Count)));
        return buffer;
    }

    public override void RequirePeers(in Operation operation) => _ranks.RequirePeers(operation);

    public override void Abort(int culprit) => _ranks.Depart(Departure.Failed, culprit);

    public override void Dispose()
    {
        _ranks.Depart(Departure.Left, culprit: 0);
        foreach (var (_, map) in _buffers)
            map.Dispose();
        _segment.Dispose();
    }

    /// <summary>Which shared buffer values lie in; null where they lie in none.</summary>
    private Located? Locate(nint values, long bytes)
    {
        foreach (var (i, (buffer, map)) in _buffers.Index())
        {
            if (buffer.Find(values, bytes) is { } position)
                return new Located(map, buffer.Bytes, position, ((long)(i + 1) << BufferShift) + position);
        }

        return null;
    }

    /// <summary>Finds each rank's values, from a byte of the located ones on.</summary>
    private unsafe void AddressAll(in Located located, long begin)
    {
        for (var rank = 0; rank < _ranks.Count; rank++)
            _addresses[rank] = (nint)(located.Map.Start + (rank * located.PartBytes) + located.Position + begin);
    }

    private void ReduceAlone(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        var slot = _ranks.Slot;
        Copy(chunk, SlotAddress(_me, slot), count * reduction.ElementBytes);
        _ranks.Meet(operation);
        ReduceSlots(slot, 0, chunk, count, reduction);
    }

    private void ReduceSlices(nint chunk, long count, Reduction reduction, in Operation operation)
    {
        var size = reduction.ElementBytes;
        var valuesSlot = _ranks.Slot;
        Copy(chunk, SlotAddress(_me, valuesSlot), count * size);
        _ranks.Meet(operation);
        var resultsSlot = _ranks.Slot;
        var mine = Slices.Of(count, _ranks.Count, _me);
        ReduceSlots(valuesSlot, mine.Start, SlotAddress(_me, resultsSlot) + (nint)(mine.Start * size), mine.Count, reduction);
        _ranks.Meet(operation);
        for (var rank = 0; rank < _ranks.Count; rank++)
        {
            var slice = Slices.Of(count, _ranks.Count, rank);
            Copy(SlotAddress(rank, resultsSlot) + (nint)(slice.Start * size), chunk + (nint)(slice.Start * size), slice.Count * size);
        }
    }

    private void ReduceSlots(int slot, long start, nint target, long count, Reduction reduction)
    {
        for (var rank = 0; rank < _ranks.Count; rank++)
            _addresses[rank] = SlotAddress(rank, slot) + (nint)(start * reduction.ElementBytes);
        RankOrder.Reduce(reduction, _addresses, target, target, count);
    }

    private unsafe nint SlotAddress(int rank, int slot) => (nint)(_segment.Start + _layout.SlotAt(rank, slot));

    /// <summary>Cuts a buffer so that each piece fits a slot; an empty buffer is one empty piece, because every rank must meet.</summary>
    private IEnumerable<(long Start, long Count)> Chunks(long length, int bytesPerElement)
    {
        var largest = Math.Max(1, _layout.SlotBytes / bytesPerElement);
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
