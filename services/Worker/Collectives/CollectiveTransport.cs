using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives;

/// <summary>How a group's ranks reach each other. Arguments are checked by <see cref="CollectiveGroup"/>.</summary>
/// <remarks>
/// Values are named by their address, since a span ends at 2 GiB of bytes. Calls come one at a time, but for <see cref="Send"/>,
/// <see cref="Receive"/>: those of each peer and direction come one at a time, beside all others. <see cref="Abort"/> may come at any time.
/// </remarks>
internal abstract class CollectiveTransport : IDisposable
{
    public abstract string Name { get; }

    public abstract void AllReduce(nint values, long count, Reduction reduction, in Operation operation);

    /// <param name="input">As many times <paramref name="count"/> elements as there are ranks.</param>
    /// <param name="output">This rank's part.</param>
    /// <param name="count">Elements of the output.</param>
    public abstract void ReduceScatter(nint input, nint output, long count, Reduction reduction, in Operation operation);

    /// <param name="bytes">Size of the input; the output is as many times larger as there are ranks.</param>
    public abstract void AllGather(nint input, nint output, long bytes, in Operation operation);

    public abstract void Broadcast(nint values, long bytes, int root, in Operation operation);

    public abstract void Send(nint values, long bytes, int destination, in Operation operation);

    public abstract void Receive(nint values, long bytes, int source, in Operation operation);

    public abstract void Barrier(in Operation operation);

    /// <summary>Throws if a peer is known to be gone, or to have given up. For those who wait for it by other means.</summary>
    public abstract void RequirePeers(in Operation operation);

    /// <summary>
    /// Begins a sum at once, behind those begun before: null where sums are not begun but made, by <see cref="AllReduce"/>. May come from
    /// any thread.
    /// </summary>
    public virtual IBegunExchange? BeginAllReduce(nint values, long count, Reduction reduction) => null;

    public virtual Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken) =>
        Task.FromResult<SharedBuffer?>(null);

    /// <summary>
    /// Ends what is under way on other threads, and tells the peers, as far as they can still be told, that this rank gave up and which
    /// rank it blames.
    /// </summary>
    public abstract void Abort(int culprit);

    public abstract void Dispose();

    protected static unsafe void Copy(nint source, nint target, long bytes) =>
        Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);
}
