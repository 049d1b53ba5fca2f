using TorchSharp;

namespace Cluster.Worker.Collectives;

/// <summary>The ranks of one attempt, as one of them sees them: what they exchange and add up together.</summary>
/// <remarks>
/// Every rank makes the same collective calls in the same order with the same lengths; a rank that does otherwise is found out and
/// named. Values are combined in ascending rank order, element by element, whatever the transport and wherever the ranks run, so a
/// result is the same bit for bit on every rank, in every repetition and on every placement of the same world size (on every placement only
/// while <see cref="CollectiveOptions.WireFormat"/> is native). Reduced are float32, float64, <see cref="BFloat16"/>, <see cref="Half"/>
/// and int64; the two short ones are rounded after every rank.
/// <para>Buffers are plain memory of the CPU; where the ranks have GPUs (<see cref="CollectiveSetup.CudaDevice"/>) they may be memory of
/// these instead, in spans that nobody looks into. NCCL then adds in an order of its own, the same in every repetition on the same cards.
/// Calls wait for what the compute stream was given before them, and return when the values are there.</para>
/// <para>Collective calls are made by one thread at a time; <see cref="AllReduceAsync{T}"/> runs on the
/// group's own thread meanwhile, and every other collective call first waits for those that are under way. Messages from one rank to
/// another keep the order in which they were sent and received, and run beside all else.</para>
/// <para>All members throw <see cref="CollectiveException"/> when a peer is dead, late or out of step, after which the group is of no more
/// use. <c>operation</c> is the name that errors and traces give the exchange, such as <c>gradients/3</c>.</para>
/// </remarks>
public interface ICollectiveGroup : IDisposable
{
    int Rank { get; }

    int WorldSize { get; }

    /// <summary>
    /// How the ranks are joined, for logs: <c>single</c>, <c>shared-memory</c>, <c>tcp</c> or <c>hierarchical</c>; with GPUs <c>nccl+</c>
    /// or <c>staged+</c> before it.
    /// </summary>
    string Transport { get; }

    /// <summary>Whether values may lie on the ranks' GPUs.</summary>
    bool ReachesDevices { get; }

    /// <summary>Replaces <paramref name="values"/> by their sum over all ranks, or what <paramref name="op"/> says, in place.</summary>
    void AllReduce<T>(Span<T> values, string operation, ReduceOp op = ReduceOp.Sum) where T : unmanaged;

    /// <summary>
    /// Like <see cref="AllReduce{T}"/>, on the group's own thread while the caller computes; operations run in the order of the calls.
    /// </summary>
    /// <param name="address">First element; must stay valid, and untouched by the caller, until the task ends.</param>
    /// <param name="count">Elements of <typeparamref name="T"/>; any number that memory holds.</param>
    /// <param name="operation">Name for errors and traces.</param>
    /// <param name="op">What to do with the ranks' values.</param>
    Task AllReduceAsync<T>(nint address, long count, string operation, ReduceOp op = ReduceOp.Sum) where T : unmanaged;

    /// <summary>Reduces <paramref name="input"/> over all ranks and keeps this rank's part of the result.</summary>
    /// <param name="input">WorldSize parts of <paramref name="output"/>'s length, in rank order.</param>
    /// <param name="output">This rank's part.</param>
    /// <param name="operation">Name for errors and traces.</param>
    /// <param name="op">What to do with the ranks' values.</param>
    void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, string operation, ReduceOp op = ReduceOp.Sum) where T : unmanaged;

    /// <summary>Every rank's <paramref name="input"/>, in rank order.</summary>
    /// <param name="input">As long on every rank.</param>
    /// <param name="output">WorldSize times as long as <paramref name="input"/>.</param>
    /// <param name="operation">Name for errors and traces.</param>
    void AllGather<T>(ReadOnlySpan<T> input, Span<T> output, string operation) where T : unmanaged;

    /// <summary>Replaces <paramref name="values"/> by those of <paramref name="root"/>.</summary>
    void Broadcast<T>(Span<T> values, int root, string operation) where T : unmanaged;

    /// <summary>Hands values to one rank, which calls <see cref="Receive{T}"/>. May return before they are received.</summary>
    void Send<T>(ReadOnlySpan<T> values, int destination, string operation) where T : unmanaged;

    void Receive<T>(Span<T> values, int source, string operation) where T : unmanaged;

    /// <summary>Like <see cref="Send{T}"/> while the caller goes on, after the earlier messages to the same rank.</summary>
    /// <param name="address">First element; must stay valid and unchanged until the task ends.</param>
    /// <param name="count">Elements of <typeparamref name="T"/>.</param>
    /// <param name="destination">Another rank.</param>
    /// <param name="operation">Name for errors and traces.</param>
    Task SendAsync<T>(nint address, long count, int destination, string operation) where T : unmanaged;

    /// <summary>
    /// Like <see cref="Receive{T}"/> while the caller goes on. May be called long before the message is due, but not longer than an
    /// operation may take.
    /// </summary>
    /// <param name="address">First element; must stay valid and untouched until the task ends.</param>
    /// <param name="count">Elements of <typeparamref name="T"/>.</param>
    /// <param name="source">Another rank.</param>
    /// <param name="operation">Name for errors and traces.</param>
    Task ReceiveAsync<T>(nint address, long count, int source, string operation) where T : unmanaged;

    /// <summary>Returns once every rank has called it.</summary>
    void Barrier(string operation);

    /// <summary>
    /// Memory for this rank that an all-reduce sums without copying it first, where the ranks share a node; null where they do not.
    /// A call on every rank with the same name and size.
    /// </summary>
    /// <param name="name">Unique within the group.</param>
    /// <param name="bytes">Size that this rank needs.</param>
    /// <param name="cancellationToken">Cancels the reservation.</param>
    Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken);

    /// <summary>
    /// Groups of some of these ranks, such as the data and the model axis of a mesh: ranks that give the same colour form one, in the
    /// order of their numbers here. A call on every rank; the new group is its caller's, works beside this one, and may be split again.
    /// </summary>
    /// <param name="name">What the group is called in errors; unique among the splits of this group.</param>
    /// <param name="colour">Any number.</param>
    /// <param name="cancellationToken">Cancels the joining.</param>
    /// <returns>This rank's group, possibly of itself alone.</returns>
    Task<ICollectiveGroup> SplitAsync(string name, int colour, CancellationToken cancellationToken);
}
