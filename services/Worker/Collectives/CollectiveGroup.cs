using System.Diagnostics.Metrics;
using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives;

/// <summary>The group over any transport: checks arguments, keeps the order of calls, remembers a fault, and measures.</summary>
public sealed partial class CollectiveGroup : ICollectiveGroup
{
    /// <summary>Enough to hold several steps of a job with tens of buckets.</summary>
    private const int RecordedOperations = 256;

    private static readonly Meter Meter = new("Cluster.Worker.Trainer");
    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "collective.operation.duration", "s", "Time that a rank spent in one exchange with its peers.");

    private readonly CollectiveSetup setup;
    private readonly GroupMembers members;
    private readonly CollectiveTransport transport;
    private readonly CommunicationThread communication;
    private readonly PeerLanes lanes;
    private readonly FlightRecorder recorder = new(RecordedOperations);
    private readonly Lock failing = new();
    private volatile CollectiveException? fault;
    private long collectives;
    private bool disposed;

    private CollectiveGroup(CollectiveSetup setup, CollectiveTransport transport)
    {
        this.setup = setup;
        this.transport = transport;
        members = setup.Members;
        var name = FormattableString.Invariant($"collectives rank {Rank}{members.OfGroup}");
        communication = new CommunicationThread(name);
        lanes = new PeerLanes(name);
    }

    private delegate void Exchange(in Operation operation);

    public int Rank => members.Me;

    public int WorldSize => members.Ranks.Count;

    public string Transport => transport.Name;

    public bool ReachesDevices => setup.CudaDevice is not null;

    public unsafe void AllReduce<T>(Span<T> values, string operation, ReduceOp op = ReduceOp.Sum)
        where T : unmanaged
    {
        communication.Drain();
        fixed (T* start = values)
            RunAllReduce((nint)start, values.Length, Reduction.Of<T>(op, WorldSize), operation);
    }

    public Task AllReduceAsync<T>(nint address, long count, string operation, ReduceOp op = ReduceOp.Sum)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var reduction = Reduction.Of<T>(op, WorldSize);
        var begun = count > 0 ? transport.BeginAllReduce(address, count, reduction) : null;
        return communication.Run(() => RunAllReduce(address, count, reduction, operation, begun));
    }

    public unsafe void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, string operation, ReduceOp op = ReduceOp.Sum)
        where T : unmanaged
    {
        RequireWhole(input.Length, output.Length, "input", "output");
        var reduction = Reduction.Of<T>(op, WorldSize);
        communication.Drain();
        fixed (T* from = input, to = output)
        {
            var (source, target, count) = ((nint)from, (nint)to, output.Length);
            Run(OperationKind.ReduceScatter, reduction, operation, (long)input.Length * sizeof(T), (in call) =>
                transport.ReduceScatter(source, target, count, reduction, call));
        }
    }

    public unsafe void AllGather<T>(ReadOnlySpan<T> input, Span<T> output, string operation)
        where T : unmanaged
    {
        RequireWhole(output.Length, input.Length, "output", "input");
        communication.Drain();
        fixed (T* from = input, to = output)
        {
            var (source, target, bytes) = ((nint)from, (nint)to, (long)input.Length * sizeof(T));
            Run(OperationKind.AllGather, null, operation, bytes, (in call) => transport.AllGather(source, target, bytes, call));
        }
    }

    public unsafe void Broadcast<T>(Span<T> values, int root, string operation)
        where T : unmanaged
    {
        RequireRank(root, nameof(root));
        communication.Drain();
        fixed (T* start = values)
        {
            var (address, bytes) = ((nint)start, (long)values.Length * sizeof(T));
            Run(OperationKind.Broadcast, null, operation, bytes, (in call) => transport.Broadcast(address, bytes, root, call));
        }
    }

    public void Barrier(string operation)
    {
        communication.Drain();
        Run(OperationKind.Barrier, null, operation, 0, (in call) => transport.Barrier(call));
    }

    public Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        communication.Drain();
        return transport.ReserveSharedBufferAsync(name, bytes, cancellationToken);
    }

    /// <summary>
    /// Leaves the group. Operations under way on the group's threads are waited for first: they end by themselves or at their deadline.
    /// </summary>
    public void Dispose()
    {
        if (disposed)
            return;
        disposed = true;
        communication.Dispose();
        lanes.Dispose();
        transport.Dispose();
    }

    private void RunAllReduce(nint address, long count, Reduction reduction, string operation, IBegunExchange? begun = null) =>
        Run(OperationKind.AllReduce, reduction, operation, count * reduction.ElementBytes, (in call) =>
        {
            if (begun is not null)
                begun.Wait(call);
            else if (count > 0)
                transport.AllReduce(address, count, reduction, call);
        });

    /// <summary>One collective call; they come one at a time.</summary>
    private void Run(OperationKind kind, Reduction? reduction, string name, long bytes, Exchange exchange)
    {
        ThrowIfUnusable();
        Run(new Operation(kind, reduction, name, bytes, ++collectives, members, setup.Options.OperationTimeout), peer: null, exchange);
    }

    private void Run(in Operation call, int? peer, Exchange exchange)
    {
        var entry = recorder.Begin(call, peer);
        try
        {
            exchange(call);
        }
        catch (CollectiveException e)
        {
            recorder.End(entry, failed: true);
            Fail(e);
            throw;
        }

        recorder.End(entry, failed: false);
        if (Duration.Enabled)
        {
            Duration.Record(
                call.Elapsed.TotalSeconds,
                new KeyValuePair<string, object?>("collective.operation", call.Kind.ToString()),
                new KeyValuePair<string, object?>("collective.transport", transport.Name));
        }
    }

    private void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(disposed && fault is null, this);
        if (fault is { } earlier)
            throw new CollectiveException(earlier.Fault, earlier.Peer, "the group failed before: " + earlier.Message, earlier)
            {
                Member = earlier.Member,
            };
    }

    /// <summary>The first fault is the group's: it is logged with what led to it, and the peers are told.</summary>
    private void Fail(CollectiveException e)
    {
        lock (failing)
        {
            if (fault is not null)
                return;
            fault = e;
        }

        Log.Failed(setup.Logger, members.JobRank(Rank), e.Message, members.OfGroup, recorder.Read());
        transport.Abort(e.Member);
    }

    private void RequireWhole(int whole, int part, string wholeName, string partName)
    {
        if (whole != (long)part * WorldSize)
        {
            throw new ArgumentException(FormattableString.Invariant(
                $"{wholeName} has {whole} elements; with {partName} of {part} and {WorldSize} ranks it must have {(long)part * WorldSize}"),
                wholeName);
        }
    }

    private void RequireRank(int rank, string name)
    {
        if (rank < 0 || rank >= WorldSize)
            throw new ArgumentOutOfRangeException(
                name, rank, FormattableString.Invariant($"{name} is {rank}; ranks are 0 to {WorldSize - 1}"));
    }
}
