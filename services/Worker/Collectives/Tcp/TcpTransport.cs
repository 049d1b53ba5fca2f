using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Exchange over one connection between every two ranks.</summary>
/// <remarks>
/// Sums go by direct exchange: of each chunk every rank gets its slice from all others, sums in rank order, and hands the sum round.
/// That moves as few bytes as a ring (2 (n − 1)/n of the buffer each way) in two steps instead of 2 (n − 1), and the order of a
/// ring's sums would differ from slice to slice. While a chunk's sums go round, the next chunk's slices are already on the way.
/// </remarks>
internal sealed unsafe class TcpTransport : CollectiveTransport
{
    /// <summary>Up to this size everyone sends all to everyone: one step instead of two.</summary>
    private const int SmallBytes = 8 << 10;

    private readonly int rank;
    private readonly PeerLink?[] links;
    private readonly TcpExchange exchange;
    private readonly ScratchMemory scratch = new();
    private readonly nint[] addresses;
    private readonly int chunkBytes;

    /// <summary>Takes the connections over.</summary>
    /// <param name="members">The group.</param>
    /// <param name="links">One a rank; null for this one.</param>
    /// <param name="chunkBytes">Bytes of the buffer exchanged at a time, a rank.</param>
    public TcpTransport(GroupMembers members, PeerLink?[] links, int chunkBytes)
    {
        rank = members.Me;
        this.links = links;
        this.chunkBytes = chunkBytes;
        exchange = new TcpExchange(links, members);
        addresses = new nint[links.Length];
    }

    public override string Name => "tcp";

    private int WorldSize => links.Length;

    public override void AllReduce<T>(Span<T> values, in Operation operation)
    {
        fixed (T* start = values)
        {
            if (operation.Bytes <= SmallBytes)
                SumAlone(start, values.Length, operation);
            else
                SumSlices(start, values.Length, operation);
        }
    }

    public override void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, in Operation operation)
    {
        var largest = Math.Max(1, chunkBytes / sizeof(T));
        var received = (T*)scratch.AtLeast((nuint)largest * (nuint)WorldSize * (nuint)sizeof(T));
        fixed (T* values = input, sums = output)
        {
            for (var start = 0; start < output.Length; start += largest)
            {
                var count = Math.Min(largest, output.Length - start);
                for (var peer = 0; peer < WorldSize; peer++)
                {
                    addresses[peer] = (nint)(peer == rank ? values + ((long)rank * output.Length) + start : received + ((long)peer * largest));
                    links[peer]?.Send((nint)(values + ((long)peer * output.Length) + start), count * sizeof(T));
                    links[peer]?.Receive(addresses[peer], count * sizeof(T));
                }

                exchange.Run(operation);
                OrderedSum.Add<T>(addresses, (nint)(sums + start), count);
            }
        }
    }

    public override void AllGather(ReadOnlySpan<byte> input, Span<byte> output, in Operation operation)
    {
        input.CopyTo(output[(rank * input.Length)..]);
        fixed (byte* values = input, gathered = output)
        {
            for (var peer = 0; peer < WorldSize; peer++)
            {
                links[peer]?.Send((nint)values, input.Length);
                links[peer]?.Receive((nint)(gathered + ((long)peer * input.Length)), input.Length);
            }

            exchange.Run(operation);
        }
    }

    public override void Broadcast(Span<byte> values, int root, in Operation operation)
    {
        fixed (byte* start = values)
        {
            if (root == rank)
            {
                foreach (var link in links)
                    link?.Send((nint)start, values.Length);
            }
            else
            {
                links[root]!.Receive((nint)start, values.Length);
            }

            exchange.Run(operation);
        }
    }

    public override void Send(ReadOnlySpan<byte> values, int destination, in Operation operation)
    {
        fixed (byte* start = values)
        {
            links[destination]!.Send((nint)start, values.Length);
            exchange.Run(operation);
        }
    }

    public override void Receive(Span<byte> values, int source, in Operation operation)
    {
        fixed (byte* start = values)
        {
            links[source]!.Receive((nint)start, values.Length);
            exchange.Run(operation);
        }
    }

    /// <summary>Queues values for a peer; nothing moves before <see cref="Complete"/>, until when they must stay where they are.</summary>
    public void Post(nint address, int bytes, int destination) => links[destination]!.Send(address, bytes);

    /// <summary>Queues a place for values of a peer's.</summary>
    public void Expect(nint address, int bytes, int source) => links[source]!.Receive(address, bytes);

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

    public override void Abort(int culprit) => exchange.SayFarewell(culprit);

    public override void Dispose()
    {
        foreach (var link in links)
            link?.Dispose();
        scratch.Dispose();
    }

    private void SumAlone<T>(T* values, int count, in Operation operation)
        where T : unmanaged, System.Numerics.INumber<T>
    {
        var received = (T*)scratch.AtLeast((nuint)count * (nuint)(WorldSize + 1) * (nuint)sizeof(T));
        var sum = received + ((long)WorldSize * count);
        for (var peer = 0; peer < WorldSize; peer++)
        {
            addresses[peer] = (nint)(peer == rank ? values : received + ((long)peer * count));
            links[peer]?.Send((nint)values, count * sizeof(T));
            links[peer]?.Receive(addresses[peer], count * sizeof(T));
        }

        exchange.Run(operation);
        OrderedSum.Add<T>(addresses, (nint)sum, count);
        Unsafe.CopyBlock(values, sum, (uint)(count * sizeof(T)));
    }

    private void SumSlices<T>(T* values, int count, in Operation operation)
        where T : unmanaged, System.Numerics.INumber<T>
    {
        // Two halves of scratch, because the slices of one chunk come in while the chunk before is still handed round.
        var chunkLength = (int)Math.Min(count, (long)chunkBytes / sizeof(T) * WorldSize);
        var sliceLength = Slices.Longest(chunkLength, WorldSize);
        var received = (T*)scratch.AtLeast((nuint)sliceLength * (nuint)WorldSize * (nuint)sizeof(T));
        var chunks = (count + chunkLength - 1) / chunkLength;
        for (var chunk = 0; chunk <= chunks; chunk++)
        {
            if (chunk < chunks)
                QueueSlices(values, received, chunk, chunkLength, sliceLength, count);
            if (chunk > 0)
                QueueSums(values, chunk - 1, chunkLength, count);
            exchange.Run(operation);
            if (chunk < chunks)
                SumOwnSlice(values, received, chunk, chunkLength, sliceLength, count);
        }
    }

    private void QueueSlices<T>(T* values, T* received, int chunk, int chunkLength, int sliceLength, int count)
        where T : unmanaged
    {
        var (mineStart, mineCount) = Slice(chunk, chunkLength, count, rank);
        for (var peer = 0; peer < WorldSize; peer++)
        {
            var (start, length) = Slice(chunk, chunkLength, count, peer);
            links[peer]?.Send((nint)(values + start), length * sizeof(T));
            links[peer]?.Receive((nint)(received + ((long)peer * sliceLength)), mineCount * sizeof(T));
        }
    }

    private void SumOwnSlice<T>(T* values, T* received, int chunk, int chunkLength, int sliceLength, int count)
        where T : unmanaged, System.Numerics.INumber<T>
    {
        var (start, length) = Slice(chunk, chunkLength, count, rank);
        for (var peer = 0; peer < WorldSize; peer++)
            addresses[peer] = (nint)(received + ((long)peer * sliceLength));

        // This rank's own values go where a peer's would be: the sum may then be written over the values themselves.
        Unsafe.CopyBlock((void*)addresses[rank], values + start, (uint)(length * sizeof(T)));
        OrderedSum.Add<T>(addresses, (nint)(values + start), length);
    }

    private void QueueSums<T>(T* values, int chunk, int chunkLength, int count)
        where T : unmanaged
    {
        var (mineStart, mineCount) = Slice(chunk, chunkLength, count, rank);
        for (var peer = 0; peer < WorldSize; peer++)
        {
            var (start, length) = Slice(chunk, chunkLength, count, peer);
            links[peer]?.Send((nint)(values + mineStart), mineCount * sizeof(T));
            links[peer]?.Receive((nint)(values + start), length * sizeof(T));
        }
    }

    private (int Start, int Count) Slice(int chunk, int chunkLength, int count, int part)
    {
        var chunkStart = chunk * chunkLength;
        var slice = Slices.Of(Math.Min(chunkLength, count - chunkStart), WorldSize, part);
        return (chunkStart + slice.Start, slice.Count);
    }
}
