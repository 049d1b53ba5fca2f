using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

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

    private readonly SharedMemoryReservation reserve;
    private readonly int[] globalRanks;
    private readonly int me;
    private readonly SegmentLayout layout;
    private readonly MappedFile segment;
    private readonly NodeRanks ranks;
    private readonly Mailboxes mailboxes;
    private readonly List<(SharedBuffer Buffer, MappedFile Map)> buffers = [];
    private readonly nint[] addresses;

    private unsafe SharedMemoryTransport(
        SharedMemoryReservation reserve, int[] globalRanks, int me, SegmentLayout layout, MappedFile segment, CollectiveOptions options)
    {
        this.reserve = reserve;
        this.globalRanks = globalRanks;
        this.me = me;
        this.layout = layout;
        this.segment = segment;
        ranks = new NodeRanks(segment.Start, globalRanks, me, options.SpinsBeforeSleep);
        mailboxes = new Mailboxes(segment.Start, layout, ranks, me);
        addresses = new nint[globalRanks.Length];
    }

    public override string Name => "shared-memory";

    /// <summary>Maps the segment and waits until the node's other ranks have done so.</summary>
    /// <param name="globalRanks">The ranks of this node, ascending.</param>
    /// <param name="members">The whole group.</param>
    /// <param name="reserve">Gives the segment.</param>
    /// <param name="options">The same on every rank: they decide the layout.</param>
    /// <param name="cancellationToken">Cancels the reservation.</param>
    public static async Task<SharedMemoryTransport> JoinAsync(
        int[] globalRanks, GroupMembers members, SharedMemoryReservation reserve, CollectiveOptions options, CancellationToken cancellationToken)
    {
        var places = new SegmentLayout(globalRanks.Length, options.ChunkBytes);
        var path = await reserve("collectives", places.TotalBytes, cancellationToken);
        var transport = new SharedMemoryTransport(
            reserve, globalRanks, Array.IndexOf(globalRanks, members.Me), places, new MappedFile(path, places.TotalBytes), options);
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

    public override unsafe void AllReduce<T>(Span<T> values, in Operation operation)
    {
        foreach (var (i, (buffer, map)) in buffers.Index())
        {
            if (buffer.Find(AddressOf(values), operation.Bytes) is { } position)
            {
                AllReduceInPlace<T>(map, buffer, position, values.Length, ((long)(i + 1) << 48) + position, operation);
                return;
            }
        }

        var sumsAlone = ranks.Count <= 2 || operation.Bytes <= SmallBytes;
        foreach (var chunk in Chunks(values.Length, sizeof(T)))
        {
            if (sumsAlone)
                SumAlone(values.Slice(chunk.Start, chunk.Count), operation);
            else
                SumSlices(values.Slice(chunk.Start, chunk.Count), operation);
        }
    }

    public override unsafe void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, in Operation operation)
    {
        foreach (var chunk in Chunks(output.Length, sizeof(T) * ranks.Count))
        {
            var slot = ranks.Slot;
            for (var part = 0; part < ranks.Count; part++)
                input.Slice((part * output.Length) + chunk.Start, chunk.Count).CopyTo(Slot<T>(me, slot, part * chunk.Count, chunk.Count));
            ranks.Meet(operation);
            SumSlots(slot, me * chunk.Count, output.Slice(chunk.Start, chunk.Count));
        }
    }

    public override void AllGather(ReadOnlySpan<byte> input, Span<byte> output, in Operation operation)
    {
        foreach (var chunk in Chunks(input.Length, 1))
        {
            var slot = ranks.Slot;
            input.Slice(chunk.Start, chunk.Count).CopyTo(Slot<byte>(me, slot, 0, chunk.Count));
            ranks.Meet(operation);
            for (var rank = 0; rank < ranks.Count; rank++)
                Slot<byte>(rank, slot, 0, chunk.Count).CopyTo(output.Slice((rank * input.Length) + chunk.Start, chunk.Count));
        }
    }

    public override void Broadcast(Span<byte> values, int root, in Operation operation)
    {
        var localRoot = Array.IndexOf(globalRanks, root);
        foreach (var chunk in Chunks(values.Length, 1))
        {
            var slot = ranks.Slot;
            if (localRoot == me)
                values.Slice(chunk.Start, chunk.Count).CopyTo(Slot<byte>(me, slot, 0, chunk.Count));
            ranks.Meet(operation);
            if (localRoot != me)
                Slot<byte>(localRoot, slot, 0, chunk.Count).CopyTo(values.Slice(chunk.Start, chunk.Count));
        }
    }

    public override void Send(ReadOnlySpan<byte> values, int destination, in Operation operation) =>
        mailboxes.Send(values, Array.IndexOf(globalRanks, destination), operation);

    public override void Receive(Span<byte> values, int source, in Operation operation) =>
        mailboxes.Receive(values, Array.IndexOf(globalRanks, source), operation);

    public override void Barrier(in Operation operation) => ranks.Meet(operation);

    /// <summary>
    /// The first half of a sum over several nodes: the first rank of this node gets into <paramref name="values"/> the sum of
    /// <paramref name="carry"/> (what the nodes before have summed; empty on the first) and of this node's values. The others' stay as they are.
    /// </summary>
    public unsafe void ReduceToFirst<T>(Span<T> values, ReadOnlySpan<T> carry, in Operation operation)
        where T : unmanaged, INumber<T>
    {
        var slot = ranks.Slot;
        if (me != 0)
            values.CopyTo(Slot<T>(me, slot, 0, values.Length));
        ranks.Meet(operation);
        if (me != 0)
            return;
        if (!carry.IsEmpty)
            TensorPrimitives.Add(carry, values, values);
        fixed (T* sum = values)
        {
            addresses[0] = (nint)sum;
            for (var rank = 1; rank < ranks.Count; rank++)
                addresses[rank] = SlotAddress(rank, slot);
            OrderedSum.Add<T>(addresses, (nint)sum, values.Length);
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

    public override void Abort(int culprit) => ranks.Depart(Departure.Failed, culprit);

    public override void Dispose()
    {
        ranks.Depart(Departure.Left, culprit: 0);
        foreach (var (_, map) in buffers)
            map.Dispose();
        segment.Dispose();
    }

    private unsafe void AllReduceInPlace<T>(MappedFile map, SharedBuffer buffer, long position, int count, long place, in Operation operation)
        where T : unmanaged, INumber<T>
    {
        var slice = Slices.Of(count, ranks.Count, me);
        for (var rank = 0; rank < ranks.Count; rank++)
            addresses[rank] = (nint)(map.Start + (rank * buffer.Bytes) + position + ((long)slice.Start * sizeof(T)));
        ranks.Meet(operation, place); // everyone's values are there
        OrderedSum.AddEverywhere<T>(addresses, slice.Count);
        ranks.Meet(operation, place); // everyone's slices are summed
    }

    private void SumAlone<T>(Span<T> chunk, in Operation operation)
        where T : unmanaged, INumber<T>
    {
        var slot = ranks.Slot;
        chunk.CopyTo(Slot<T>(me, slot, 0, chunk.Length));
        ranks.Meet(operation);
        SumSlots(slot, 0, chunk);
    }

    private void SumSlices<T>(Span<T> chunk, in Operation operation)
        where T : unmanaged, INumber<T>
    {
        var valuesSlot = ranks.Slot;
        chunk.CopyTo(Slot<T>(me, valuesSlot, 0, chunk.Length));
        ranks.Meet(operation);
        var sumsSlot = ranks.Slot;
        var mine = Slices.Of(chunk.Length, ranks.Count, me);
        SumSlots(valuesSlot, mine.Start, Slot<T>(me, sumsSlot, mine.Start, mine.Count));
        ranks.Meet(operation);
        for (var rank = 0; rank < ranks.Count; rank++)
        {
            var slice = Slices.Of(chunk.Length, ranks.Count, rank);
            Slot<T>(rank, sumsSlot, slice.Start, slice.Count).CopyTo(chunk.Slice(slice.Start, slice.Count));
        }
    }

    private unsafe void SumSlots<T>(int slot, int start, Span<T> sum)
        where T : unmanaged, INumber<T>
    {
        for (var rank = 0; rank < ranks.Count; rank++)
            addresses[rank] = SlotAddress(rank, slot) + (start * sizeof(T));
        fixed (T* target = sum)
            OrderedSum.Add<T>(addresses, (nint)target, sum.Length);
    }

    private unsafe Span<T> Slot<T>(int rank, int slot, int start, int count)
        where T : unmanaged =>
        new((T*)SlotAddress(rank, slot) + start, count);

    private unsafe nint SlotAddress(int rank, int slot) => (nint)(segment.Start + layout.SlotAt(rank, slot));

    private static unsafe nint AddressOf<T>(Span<T> values)
        where T : unmanaged =>
        (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(values));

    /// <summary>Cuts a buffer so that each piece fits a slot; an empty buffer is one empty piece, because every rank must meet.</summary>
    private IEnumerable<(int Start, int Count)> Chunks(int length, int bytesPerElement)
    {
        var largest = Math.Max(1, layout.SlotBytes / bytesPerElement);
        var start = 0;
        do
        {
            var count = Math.Min(largest, length - start);
            yield return (start, count);
            start += count;
        }
        while (start < length);
    }
}
