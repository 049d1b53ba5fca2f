using System.Numerics;

namespace Cluster.Worker.Collectives;

/// <summary>How a group's ranks reach each other. Arguments are checked and calls made one at a time by <see cref="CollectiveGroup"/>.</summary>
internal abstract class CollectiveTransport : IDisposable
{
    public abstract string Name { get; }

    public abstract void AllReduce<T>(Span<T> values, in Operation operation) where T : unmanaged, INumber<T>;

    public abstract void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, in Operation operation) where T : unmanaged, INumber<T>;

    public abstract void AllGather(ReadOnlySpan<byte> input, Span<byte> output, in Operation operation);

    public abstract void Broadcast(Span<byte> values, int root, in Operation operation);

    public abstract void Send(ReadOnlySpan<byte> values, int destination, in Operation operation);

    public abstract void Receive(Span<byte> values, int source, in Operation operation);

    public abstract void Barrier(in Operation operation);

    public virtual Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken) =>
        Task.FromResult<SharedBuffer?>(null);

    /// <summary>Tells the peers, as far as they can still be told, that this rank gave up, and which rank it blames.</summary>
    public abstract void Abort(int culprit);

    public abstract void Dispose();
}
