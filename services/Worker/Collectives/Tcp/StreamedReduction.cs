using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// A reduction of large buffers by direct exchange: of each chunk every rank gets its slice from all others, combines them in rank
/// order and, if so asked, hands the result round.
/// </summary>
/// <remarks>
/// That moves as few bytes as a ring (2 (n − 1)/n of the buffer each way) in two steps instead of 2 (n − 1), and the order of a
/// ring's sums would differ from slice to slice. Nobody waits at the end of a chunk: slices of <see cref="Depth"/> chunks are on the
/// way at any time, and on each connection slices and results follow each other in an order that both ends know: slices 0 to
/// Depth − 1, result 0, slice Depth, result 1, and so on.
/// </remarks>
internal sealed class StreamedReduction : ITransferObserver
{
    /// <summary>
    /// Enough that a result can travel out and the next slice in while another is received. More is slower: what is under way outgrows a
    /// core's cache.
    /// </summary>
    private const int Depth = 3;

    /// <summary>Stands for a result that has come where it belongs.</summary>
    private const int ResultTag = -1;

    private readonly PeerLink?[] links;
    private readonly Reduction reduction;
    private readonly SliceOf sliceOf;
    private readonly Func<int, nint> targetOf;
    private readonly bool handRound;
    private readonly int rank;
    private readonly int chunks;
    private readonly nint received;
    private readonly long slotBytes;
    private readonly int[] missing = new int[Depth];
    private readonly nint[] addresses;
    private readonly BFloat16Wire? wire;

    /// <param name="links">One a rank; null for this one.</param>
    /// <param name="reduction">What to do.</param>
    /// <param name="plan">Where everything lies.</param>
    /// <param name="scratch">Grown to what is needed.</param>
    /// <param name="format">Has no effect on other types than float32.</param>
    public StreamedReduction(PeerLink?[] links, Reduction reduction, Plan plan, ScratchMemory scratch, WireFormat format)
    {
        this.links = links;
        this.reduction = reduction;
        (chunks, var largest, sliceOf, targetOf, handRound) = plan;
        slotBytes = largest * reduction.ElementBytes;
        var slots = links.Length * Depth * slotBytes;
        var narrow = format == WireFormat.BFloat16 && reduction.IsFloat32;
        received = scratch.AtLeast((nuint)(slots + (narrow ? BFloat16Wire.ScratchBytes(links.Length, Depth, largest) : 0)));
        wire = narrow ? new BFloat16Wire(received + (nint)slots, links.Length, Depth, largest) : null;
        rank = Array.IndexOf(links, null);
        addresses = new nint[links.Length];
    }

    /// <summary>Where a rank's slice of a chunk lies, and its elements.</summary>
    public delegate (nint Address, long Count) SliceOf(int chunk, int rank);

    public void Run(TcpExchange exchange, in Operation operation)
    {
        for (var chunk = 0; chunk < Math.Min(Depth, chunks); chunk++)
            QueueSlices(chunk);
        QueueResults(0);
        exchange.Run(operation, this);
    }

    public void Received(int tag)
    {
        if (tag < ResultTag)
            WidenResult(ResultTag - 1 - tag);
        if (tag < 0 || --missing[tag % Depth] > 0)
            return;
        Combine(tag);
        if (handRound)
            SendResult(tag);
        if (tag + Depth < chunks)
            QueueSlices(tag + Depth);
        if (tag + 1 < chunks)
            QueueResults(tag + 1);
    }

    private void QueueSlices(int chunk)
    {
        missing[chunk % Depth] = links.Length - 1;
        var mine = sliceOf(chunk, rank);
        for (var peer = 0; peer < links.Length; peer++)
        {
            if (links[peer] is not { } link)
                continue;
            var (address, count) = sliceOf(chunk, peer);
            link.Send(wire?.PackSlice(chunk, peer, address, count) ?? address, WireBytes(count));
            link.Receive(SlotOf(chunk, peer), WireBytes(mine.Count), chunk);
        }
    }

    private void Combine(int chunk)
    {
        var mine = sliceOf(chunk, rank);
        for (var peer = 0; peer < links.Length; peer++)
        {
            var slot = SlotOf(chunk, peer);
            addresses[peer] = peer == rank ? mine.Address : wire?.WidenSlice(peer, slot, mine.Count) ?? slot;
        }

        // Over this rank's own values only when they are no longer needed.
        var target = targetOf(chunk);
        RankOrder.Reduce(reduction, addresses, rank < 2 ? target : addresses[0], target, mine.Count);
    }

    private void SendResult(int chunk)
    {
        var count = sliceOf(chunk, rank).Count;
        var target = targetOf(chunk);
        var result = wire?.PackResult(chunk, target, count) ?? target;
        foreach (var link in links)
            link?.Send(result, WireBytes(count));
    }

    private void QueueResults(int chunk)
    {
        for (var peer = 0; handRound && peer < links.Length; peer++)
        {
            var (address, count) = sliceOf(chunk, peer);
            if (wire is null)
                links[peer]?.Receive(address, WireBytes(count), ResultTag);
            else
                links[peer]?.Receive(wire.ResultPlace(chunk, peer), WireBytes(count), ResultTag - 1 - ((chunk * links.Length) + peer));
        }
    }

    private void WidenResult(int place)
    {
        var (chunk, peer) = Math.DivRem(place, links.Length);
        var (address, count) = sliceOf(chunk, peer);
        BFloat16Wire.Unpack(wire!.ResultPlace(chunk, peer), address, count);
    }

    private long WireBytes(long count) => count * (wire is null ? reduction.ElementBytes : BFloat16Wire.ElementBytes);

    private nint SlotOf(int chunk, int peer) => received + (nint)(((peer * Depth) + (chunk % Depth)) * slotBytes);

    /// <param name="Chunks">How many.</param>
    /// <param name="LargestSlice">Elements of the largest slice.</param>
    /// <param name="SliceOf">Where slices lie.</param>
    /// <param name="TargetOf">Where this rank's result of a chunk goes.</param>
    /// <param name="HandRound">Whether all ranks get it, in the place of the slice.</param>
    internal sealed record Plan(int Chunks, long LargestSlice, SliceOf SliceOf, Func<int, nint> TargetOf, bool HandRound);
}
