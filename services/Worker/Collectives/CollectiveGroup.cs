using System.Diagnostics.Metrics;
using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives;

/// <summary>The group over any transport: checks arguments, keeps the order of calls, remembers a fault, and measures.</summary>
public sealed partial class CollectiveGroup : ICollectiveGroup
{
    /// <summary>Enough to hold several steps of a job with tens of buckets.</summary>
    private const int RecordedOperations = 256;

    private static readonly Meter Meter = new("Cluster.Worker.Trainer");

    // From a few bytes in shared memory to a large net's gradients over a slow line.
    private static readonly InstrumentAdvice<double> OperationTimes = new()
    {
        HistogramBucketBoundaries =
            [0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30],
    };

    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "collective.operation.duration", "s", "Time that a rank spent in one exchange with its peers.", advice: OperationTimes);

    private readonly CollectiveSetup _setup;
    private readonly GroupMembers _members;
    private readonly CollectiveTransport _transport;
    private readonly CommunicationThread _communication;
    private readonly PeerLanes _lanes;
    private readonly FlightRecorder _recorder = new(RecordedOperations);
    private readonly Lock _failing = new();
    private volatile CollectiveException? _fault;
    private long _collectives;
    private bool _disposed;

    private CollectiveGroup(CollectiveSetup setup, CollectiveTransport transport)
    {
        _setup = setup;
        _transport = transport;
        _members = setup.Members;
        var name = FormattableString.Invariant($"collectives rank {Rank}{_members.OfGroup}");
        _communication = new CommunicationThread(name);
        _lanes = new PeerLanes(name);
    }

    private delegate void Exchange(in Operation operation);

    public int Rank => _members.Me;

    public int WorldSize => _members.Ranks.Count;

    public string Transport => _transport.Name;

    public bool ReachesDevices => _setup.CudaDevice is not null;

    public unsafe void AllReduce<T>(Span<T> values, string operation, ReduceOp op = ReduceOp.Sum)
        where T : unmanaged
    {
        _communication.Drain();
        fixed (T* start = values)
            RunAllReduce((nint)start, values.Length, Reduction.Of<T>(op, WorldSize), operation);
    }

    public Task AllReduceAsync<T>(nint address, long count, string operation, ReduceOp op = ReduceOp.Sum)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var reduction = Reduction.Of<T>(op, WorldSize);
        var pending = count > 0 ? _transport.BeginAllReduce(address, count, reduction) : null;
        return _communication.Run(() => RunAllReduce(address, count, reduction, operation, pending));
    }

    public Task AllReduceInStreamAsync<T>(nint address, long count, string operation)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var reduction = Reduction.Of<T>(ReduceOp.Sum, WorldSize);
        if (count > 0 && _transport.BeginAllReduce(address, count, reduction) is { } begun)
        {
            begun.HoldComputeStream();
            return _communication.Run(() => RunAllReduce(address, count, reduction, operation, begun));
        }

        _communication.Drain();
        RunAllReduce(address, count, reduction, operation);
        return Task.CompletedTask;
    }

    public unsafe void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, string operation, ReduceOp op = ReduceOp.Sum)
        where T : unmanaged
    {
        RequireWhole(input.Length, output.Length, "input", "output");
        var reduction = Reduction.Of<T>(op, WorldSize);
        _communication.Drain();
        fixed (T* from = input, to = output)
        {
            var (source, target, shares) = ((nint)from, (nint)to, Shares.Of(input.Length, WorldSize));
            Run(OperationKind.ReduceScatter, reduction, operation, (long)input.Length * sizeof(T), (in call) =>
                _transport.ReduceScatter(source, target, shares, reduction, call));
        }
    }

    public Task ReduceScatterAsync<T>(nint address, long count, string operation, ReduceOp op = ReduceOp.Sum)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var (reduction, shares) = (Reduction.Of<T>(op, WorldSize), Shares.Of(count, WorldSize));
        var begun = count > 0 ? _transport.BeginReduceScatter(address, shares, reduction) : null;
        var share = address + (nint)(shares[Rank].Start * reduction.ElementBytes);
        return _communication.Run(() => Run(OperationKind.ReduceScatter, reduction, operation, count * reduction.ElementBytes, (in call) =>
        {
            if (begun is not null)
                begun.Wait(call);
            else if (count > 0)
                _transport.ReduceScatter(address, share, shares, reduction, call);
        }));
    }

    public unsafe void AllGather<T>(ReadOnlySpan<T> input, Span<T> output, string operation)
        where T : unmanaged
    {
        RequireWhole(output.Length, input.Length, "output", "input");
        _communication.Drain();
        fixed (T* from = input, to = output)
        {
            var (source, target, shares) = ((nint)from, (nint)to, Shares.Of(output.Length, WorldSize));
            Run(OperationKind.AllGather, null, operation, (long)output.Length * sizeof(T), (in call) =>
                _transport.AllGather(source, target, shares, sizeof(T), call));
        }
    }

    public unsafe Task AllGatherAsync<T>(nint address, long count, string operation)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var (shares, elementBytes) = (Shares.Of(count, WorldSize), sizeof(T));
        var begun = count > 0 ? _transport.BeginAllGather(address, shares, elementBytes) : null;
        var share = address + (nint)(shares[Rank].Start * elementBytes);
        return _communication.Run(() => Run(OperationKind.AllGather, null, operation, count * elementBytes, (in call) =>
        {
            if (begun is not null)
                begun.Wait(call);
            else if (count > 0)
                _transport.AllGather(share, address, shares, elementBytes, call);
        }));
    }

    public unsafe void Broadcast<T>(Span<T> values, int root, string operation)
        where T : unmanaged
    {
        RequireRank(root, nameof(root));
        _communication.Drain();
        fixed (T* start = values)
        {
            var (address, bytes) = ((nint)start, (long)values.Length * sizeof(T));
            Run(OperationKind.Broadcast, null, operation, bytes, (in call) => _transport.Broadcast(address, bytes, root, call));
        }
    }

    public void Barrier(string operation)
    {
        _communication.Drain();
        Run(OperationKind.Barrier, null, operation, 0, (in call) => _transport.Barrier(call));
    }

    public Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        _communication.Drain();
        return _transport.ReserveSharedBufferAsync(name, bytes, cancellationToken);
    }

    /// <summary>
    /// Leaves the group. Operations under way on the group's threads are waited for first: they end by themselves or at their deadline.
    /// </summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _communication.Dispose();
        _lanes.Dispose();
        _transport.Dispose();
    }

    private void RunAllReduce(nint address, long count, Reduction reduction, string operation, IPendingExchange? pending = null) =>
        Run(OperationKind.AllReduce, reduction, operation, count * reduction.ElementBytes, (in call) =>
        {
            if (pending is not null)
                pending.Wait(call);
            else if (count > 0)
                _transport.AllReduce(address, count, reduction, call);
        });

    /// <summary>One collective call; they come one at a time.</summary>
    private void Run(OperationKind kind, Reduction? reduction, string name, long bytes, Exchange exchange)
    {
        ThrowIfUnusable();
        Run(new Operation(kind, reduction, name, bytes, ++_collectives, _members, _setup.Options.OperationTimeout), peer: null, exchange);
    }

    private void Run(in Operation call, int? peer, Exchange exchange)
    {
        var entry = _recorder.Begin(call, peer);
        var shown = _setup.Board.Begin(call, peer);
        try
        {
            exchange(call);
        }
        catch (CollectiveException e)
        {
            _recorder.End(entry, failed: true);
            Fail(e);
            throw;
        }
        finally
        {
            _setup.Board.End(shown);
        }

        _recorder.End(entry, failed: false);
        if (Duration.Enabled)
        {
            Duration.Record(
                call.Elapsed.TotalSeconds,
                new KeyValuePair<string, object?>("collective.operation", call.Kind.ToString()),
                new KeyValuePair<string, object?>("collective.transport", _transport.Name));
        }
    }

    private void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(_disposed && _fault is null, this);
        if (_fault is { } earlier)
            throw new CollectiveException(earlier.Fault, earlier.Peer, "the group failed before: " + earlier.Message, earlier)
            {
                Member = earlier.Member,
            };
    }

    /// <summary>The first fault is the group's: it is logged with what led to it, and the peers are told.</summary>
    private void Fail(CollectiveException e)
    {
        lock (_failing)
        {
            if (_fault is not null)
                return;
            _fault = e;
        }

        Log.Failed(_setup.Logger, _members.JobRank(Rank), e.Message, _members.OfGroup, _recorder.Read());
        _transport.Abort(e.Member);
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
