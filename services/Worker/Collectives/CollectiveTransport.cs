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

    /// <summary>Whether what leaves the node was to be encrypted, and is.</summary>
    public virtual bool IsEncrypted => false;

    public abstract void AllReduce(nint values, long count, Reduction reduction, in Operation operation);

    /// <param name="input">The whole. Left as it is, unless the output is in place.</param>
    /// <param name="output">
    /// Of this rank's share: elsewhere, or in place, where the share lies in the input; what lies beside it there is then of no more use.
    /// </param>
    /// <param name="shares">Equal ones, unless the output is in place.</param>
    public abstract void ReduceScatter(nint input, nint output, in Shares shares, Reduction reduction, in Operation operation);

    /// <param name="input">This rank's share: elsewhere, or in place, where it belongs in the output.</param>
    /// <param name="output">The whole.</param>
    /// <param name="shares">Equal ones, unless the input is in place.</param>
    /// <param name="elementBytes">Size of an element.</param>
    public abstract void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation);

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
    public virtual IPendingExchange? BeginAllReduce(nint values, long count, Reduction reduction) => null;

    /// <summary>As <see cref="BeginAllReduce"/>, for <see cref="ReduceScatter"/> in place.</summary>
    public virtual IPendingExchange? BeginReduceScatter(nint values, in Shares shares, Reduction reduction) => null;

    /// <summary>As <see cref="BeginAllReduce"/>, for <see cref="AllGather"/> in place.</summary>
    public virtual IPendingExchange? BeginAllGather(nint values, in Shares shares, int elementBytes) => null;

    public virtual Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken) =>
        Task.FromResult<SharedBuffer?>(null);

    /// <summary>
    /// Ends what is under way on other threads, and tells the peers, as far as they can still be told, that this rank gave up and which
    /// rank it blames.
    /// </summary>
    public abstract void Abort(int culprit);

    public abstract void Dispose();

    /// <summary>Nothing is to be done where both are the same place.</summary>
    protected static unsafe void Copy(nint source, nint target, long bytes)
    {
        if (source != target)
            Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);
    }

    /// <summary>Where the element lies.</summary>
    protected static nint At(nint values, long element, int elementBytes) => values + (nint)(element * elementBytes);
}
