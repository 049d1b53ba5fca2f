using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives;

/// <summary>The group over any transport: checks arguments, keeps the order of calls, remembers a fault, and measures.</summary>
public sealed partial class CollectiveGroup : ICollectiveGroup
{
    private static readonly Meter Meter = new("Cluster.Worker.Trainer");
    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>(
        "collective.operation.duration", "s", "Time that a rank spent in one exchange with its peers.");

    private readonly CollectiveSetup setup;
    private readonly GroupMembers members;
    private readonly CollectiveTransport transport;
    private readonly CommunicationThread communication;
    private volatile CollectiveException? fault;
    private bool disposed;

    private CollectiveGroup(CollectiveSetup setup, CollectiveTransport transport)
    {
        this.setup = setup;
        this.transport = transport;
        members = setup.Members;
        communication = new CommunicationThread(FormattableString.Invariant($"collectives rank {Rank}{members.OfGroup}"));
    }

    public int Rank => members.Me;

    public int WorldSize => members.Ranks.Count;

    public string Transport => transport.Name;

    public void AllReduce<T>(Span<T> values, string operation)
        where T : unmanaged, INumber<T>
    {
        communication.Drain();
        RunAllReduce(values, operation);
    }

    public unsafe Task AllReduceAsync<T>(nint address, int count, string operation)
        where T : unmanaged, INumber<T>
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        return communication.Run(() => RunAllReduce(new Span<T>((void*)address, count), operation));
    }

    public void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, string operation)
        where T : unmanaged, INumber<T>
    {
        RequireWhole(input.Length, output.Length, "input", "output");
        var call = Begin<T>(OperationKind.ReduceScatter, operation, input.Length);
        try
        {
            transport.ReduceScatter(input, output, call);
            End(call);
        }
        catch (CollectiveException e)
        {
            throw Failed(e);
        }
    }

    public void AllGather<T>(ReadOnlySpan<T> input, Span<T> output, string operation)
        where T : unmanaged
    {
        RequireWhole(output.Length, input.Length, "output", "input");
        var call = Begin<T>(OperationKind.AllGather, operation, input.Length);
        try
        {
            transport.AllGather(MemoryMarshal.AsBytes(input), MemoryMarshal.AsBytes(output), call);
            End(call);
        }
        catch (CollectiveException e)
        {
            throw Failed(e);
        }
    }

    public void Broadcast<T>(Span<T> values, int root, string operation)
        where T : unmanaged
    {
        RequireRank(root, nameof(root));
        var call = Begin<T>(OperationKind.Broadcast, operation, values.Length);
        try
        {
            transport.Broadcast(MemoryMarshal.AsBytes(values), root, call);
            End(call);
        }
        catch (CollectiveException e)
        {
            throw Failed(e);
        }
    }

    public void Send<T>(ReadOnlySpan<T> values, int destination, string operation)
        where T : unmanaged
    {
        RequirePeer(destination, nameof(destination));
        var call = Begin<T>(OperationKind.PointToPoint, operation, values.Length);
        try
        {
            transport.Send(MemoryMarshal.AsBytes(values), destination, call);
            End(call);
        }
        catch (CollectiveException e)
        {
            throw Failed(e);
        }
    }

    public void Receive<T>(Span<T> values, int source, string operation)
        where T : unmanaged
    {
        RequirePeer(source, nameof(source));
        var call = Begin<T>(OperationKind.PointToPoint, operation, values.Length);
        try
        {
            transport.Receive(MemoryMarshal.AsBytes(values), source, call);
            End(call);
        }
        catch (CollectiveException e)
        {
            throw Failed(e);
        }
    }

    public void Barrier(string operation)
    {
        var call = Begin<byte>(OperationKind.Barrier, operation, 0);
        try
        {
            transport.Barrier(call);
            End(call);
        }
        catch (CollectiveException e)
        {
            throw Failed(e);
        }
    }

    public Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        communication.Drain();
        return transport.ReserveSharedBufferAsync(name, bytes, cancellationToken);
    }

    /// <summary>Leaves the group. Operations under way on the group's thread are waited for first: they end by themselves or at their deadline.</summary>
    public void Dispose()
    {
        if (disposed)
            return;
        disposed = true;
        communication.Dispose();
        transport.Dispose();
    }

    private void RunAllReduce<T>(Span<T> values, string operation)
        where T : unmanaged, INumber<T>
    {
        var call = NewOperation<T>(OperationKind.AllReduce, operation, values.Length);
        try
        {
            if (values.Length > 0)
                transport.AllReduce(values, call);
            End(call);
        }
        catch (CollectiveException e)
        {
            throw Failed(e);
        }
    }

    private Operation Begin<T>(OperationKind kind, string name, int elements)
        where T : unmanaged
    {
        communication.Drain();
        return NewOperation<T>(kind, name, elements);
    }

    private unsafe Operation NewOperation<T>(OperationKind kind, string name, int elements)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(disposed && fault is null, this);
        if (fault is { } earlier)
            throw new CollectiveException(earlier.Fault, earlier.Peer, "the group failed before: " + earlier.Message, earlier) { Member = earlier.Member };
        return new Operation(kind, name, (long)elements * sizeof(T), members, setup.Options.OperationTimeout);
    }

    private void End(in Operation call) => Duration.Record(
        call.Elapsed.TotalSeconds,
        new KeyValuePair<string, object?>("collective.operation", call.Kind.ToString()),
        new KeyValuePair<string, object?>("collective.transport", transport.Name));

    private CollectiveException Failed(CollectiveException e)
    {
        if (fault is null)
        {
            fault = e;
            transport.Abort(e.Member);
        }

        return e;
    }

    private void RequireWhole(int whole, int part, string wholeName, string partName)
    {
        if (whole != (long)part * WorldSize)
        {
            throw new ArgumentException(FormattableString.Invariant(
                $"{wholeName} has {whole} elements; with {partName} of {part} and {WorldSize} ranks it must have {(long)part * WorldSize}"), wholeName);
        }
    }

    private void RequireRank(int rank, string name)
    {
        if (rank < 0 || rank >= WorldSize)
            throw new ArgumentOutOfRangeException(name, rank, FormattableString.Invariant($"{name} is {rank}; ranks are 0 to {WorldSize - 1}"));
    }

    private void RequirePeer(int rank, string name)
    {
        RequireRank(rank, name);
        if (rank == Rank)
            throw new ArgumentOutOfRangeException(name, rank, FormattableString.Invariant($"{name} is this rank itself"));
    }
}
