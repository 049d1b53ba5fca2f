using Cluster.Worker.Collectives.Reductions;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>
/// Values on GPUs go by NCCL, those in the CPU's memory as they would without; the other transport also tells who is late or dead, which
/// NCCL does not.
/// </summary>
/// <remarks>
/// Messages have a communicator of two ranks a direction, made with the first of them: NCCL's sends wait for their receipt, and on one
/// stream two ranks that send to each other would wait for ever.
/// </remarks>
internal sealed class NcclTransport : CollectiveTransport
{
    private readonly CollectiveTransport _host;
    private readonly NcclLibrary _nccl;
    private readonly CudaDevice _device;
    private readonly NcclCommunicator _all;
    private readonly GroupMembers _members;
    private readonly Lock _gate = new();
    private readonly Dictionary<(int Peer, bool Sending), NcclCommunicator> _pairs = [];
    private volatile int _culpritOfAbort = -1;

    private NcclTransport(
        CollectiveTransport host, NcclLibrary nccl, CudaDevice device, NcclCommunicator all, GroupMembers members, TimeSpan patience)
    {
        (_host, _nccl, _device, _all, _members, Patience) = (host, nccl, device, all, members, patience);
        Name = "nccl+" + host.Name;
    }

    public override string Name { get; }

    /// <summary>Longest that NCCL may take a call in.</summary>
    internal TimeSpan Patience { get; }

    /// <summary>Joins the ranks of <paramref name="host"/>, which is the new transport's from here on. A call on every rank.</summary>
    public static unsafe NcclTransport Join(CollectiveTransport host, NcclLibrary nccl, CudaDevice device, GroupMembers members,
        CollectiveOptions options, in Operation operation)
    {
        var id = members.Me == 0 ? nccl.NewUniqueId() : default;
        host.Broadcast((nint)(&id), NcclLibrary.UniqueId.Bytes, root: 0, operation);
        var call = operation;
        var all = NcclCommunicator.Join(nccl, device, id, members.Me, members.Ranks.Count, () => LookWhileJoining(host, call));
        return new NcclTransport(host, nccl, device, all, members, options.OperationTimeout);
    }

    public override unsafe void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        if (BeginAllReduce(values, count, reduction) is { } pending)
            pending.Wait(operation);
        else
            _host.AllReduce(values, count, reduction, operation);
    }

    public override unsafe IPendingExchange? BeginAllReduce(nint values, long count, Reduction reduction)
    {
        var (type, op) = (NcclCommunicator.TypeOf(reduction), NcclCommunicator.OperatorOf(reduction));
        return _device.Holds(values)
            ? Begin(_all, new NcclCall("ncclAllReduce", (nccl, communicator, stream) =>
                nccl.AllReduce(values, values, (nuint)count, type, op, communicator, stream)))
            : null;
    }

    public override void ReduceScatter(nint input, nint output, in Shares shares, Reduction reduction, in Operation operation)
    {
        if (_device.Holds(input))
            BeginReduceScatter(input, output, shares, reduction).Wait(operation);
        else
            _host.ReduceScatter(input, output, shares, reduction, operation);
    }

    public override IPendingExchange? BeginReduceScatter(nint values, in Shares shares, Reduction reduction) => _device.Holds(values)
        ? BeginReduceScatter(values, At(values, shares[_members.Me].Start, reduction.ElementBytes), shares, reduction)
        : null;

    public override void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation)
    {
        if (_device.Holds(input))
            BeginAllGather(input, output, shares, elementBytes).Wait(operation);
        else
            _host.AllGather(input, output, shares, elementBytes, operation);
    }

    public override IPendingExchange? BeginAllGather(nint values, in Shares shares, int elementBytes) => _device.Holds(values)
        ? BeginAllGather(At(values, shares[_members.Me].Start, elementBytes), values, shares, elementBytes)
        : null;

    public override unsafe void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        if (_device.Holds(values))
            Begin(_all, BroadcastCall(values, bytes, root)).Wait(operation);
        else
            _host.Broadcast(values, bytes, root, operation);
    }

    public override unsafe void Send(nint values, long bytes, int destination, in Operation operation)
    {
        if (!_device.Holds(values))
        {
            _host.Send(values, bytes, destination, operation);
            return;
        }

        var call = new NcclCall("ncclSend", (nccl, pair, stream) =>
            nccl.Send(values, (nuint)bytes, NcclLibrary.Bytes, 1, pair, stream));
        Begin(Pair(destination, sending: true, operation), call).Wait(operation);
    }

    public override unsafe void Receive(nint values, long bytes, int source, in Operation operation)
    {
        if (!_device.Holds(values))
        {
            _host.Receive(values, bytes, source, operation);
            return;
        }

        var call = new NcclCall("ncclRecv", (nccl, pair, stream) =>
            nccl.Receive(values, (nuint)bytes, NcclLibrary.Bytes, 0, pair, stream));
        Begin(Pair(source, sending: false, operation), call).Wait(operation);
    }

    public override void Barrier(in Operation operation) => _host.Barrier(operation);

    public override void RequirePeers(in Operation operation) => _host.RequirePeers(operation);

    public override void Abort(int culprit)
    {
        _culpritOfAbort = culprit;
        _host.Abort(culprit);
        _all.Abort();
        foreach (var pair in Pairs())
            pair.Abort();
    }

    public override void Dispose()
    {
        _all.Dispose();
        foreach (var pair in Pairs())
            pair.Dispose();
        _host.Dispose();
        _device.Dispose();
    }

    /// <summary>What a wait looks at now and then.</summary>
    internal void Look(NcclCommunicator communicator, in Operation operation)
    {
        RequireNotAborted(operation);
        _host.RequirePeers(operation);
        communicator.ThrowIfFailed();
    }

    internal void RequireNotAborted(in Operation operation)
    {
        if (_culpritOfAbort >= 0)
            throw operation.Aborted(_members.Me, _culpritOfAbort);
    }

    /// <summary>As <see cref="Look"/> before there is an operation: what it finds is told by the wait, which looks again.</summary>
    /// <exception cref="DeviceException">It is of no use to go on.</exception>
    internal void LookWhileBeginning()
    {
        if (_culpritOfAbort >= 0)
            throw new DeviceException("this rank has given its communicator up");
        try
        {
            _host.RequirePeers(new Operation(OperationKind.AllReduce, "beginning", 0, _members, Patience));
        }
        catch (CollectiveException e)
        {
            throw new DeviceException(e.Message);
        }
    }

    /// <summary>Who is missing? All that live meet on the CPU; who does not come is named.</summary>
    internal void Meet(in Operation operation) => _host.Barrier(operation);

    private static void LookWhileJoining(CollectiveTransport host, in Operation operation)
    {
        host.RequirePeers(operation);
        if (operation.IsOverdue)
            throw operation.Unfinished("NCCL did not join the ranks in time");
    }

    private PendingExchange Begin(NcclCommunicator communicator, params IReadOnlyList<NcclCall> calls) =>
        new(this, _device, communicator, calls);

    /// <summary>
    /// NCCL divides equally. What is left over, a few elements behind the equal shares, is summed for all, of whom the last has a use for
    /// it.
    /// </summary>
    private unsafe PendingExchange BeginReduceScatter(nint input, nint output, Shares shares, Reduction reduction)
    {
        var (type, op) = (NcclCommunicator.TypeOf(reduction), NcclCommunicator.OperatorOf(reduction));
        var rest = At(input, shares.Ranks * shares.Each, reduction.ElementBytes);
        List<NcclCall> calls = [];
        if (shares.Each > 0)
        {
            calls.Add(new("ncclReduceScatter", (nccl, communicator, stream) =>
                nccl.ReduceScatter(input, output, (nuint)shares.Each, type, op, communicator, stream)));
        }

        if (shares.Rest > 0)
        {
            calls.Add(new("ncclAllReduce", (nccl, communicator, stream) =>
                nccl.AllReduce(rest, rest, (nuint)shares.Rest, type, op, communicator, stream)));
        }

        return Begin(_all, calls);
    }

    private unsafe PendingExchange BeginAllGather(nint input, nint output, Shares shares, int elementBytes)
    {
        List<NcclCall> calls = [];
        if (shares.Each > 0)
        {
            calls.Add(new("ncclAllGather", (nccl, communicator, stream) =>
                nccl.AllGather(input, output, (nuint)(shares.Each * elementBytes), NcclLibrary.Bytes, communicator, stream)));
        }

        if (shares.Rest > 0)
            calls.Add(BroadcastCall(At(output, shares.Ranks * shares.Each, elementBytes), shares.Rest * elementBytes, shares.Ranks - 1));
        return Begin(_all, calls);
    }

    private static unsafe NcclCall BroadcastCall(nint values, long bytes, int root) => new("ncclBroadcast", (nccl, communicator, stream) =>
        nccl.Broadcast(values, values, (nuint)bytes, NcclLibrary.Bytes, root, communicator, stream));

    /// <summary>Its id goes by the other transport, ahead of the pair's first message.</summary>
    private unsafe NcclCommunicator Pair(int peer, bool sending, in Operation operation)
    {
        lock (_gate)
        {
            if (_pairs.TryGetValue((peer, sending), out var known))
                return known;
        }

        var id = sending ? _nccl.NewUniqueId() : default;
        if (sending)
            _host.Send((nint)(&id), NcclLibrary.UniqueId.Bytes, peer, operation);
        else
            _host.Receive((nint)(&id), NcclLibrary.UniqueId.Bytes, peer, operation);
        var call = operation;
        var pair = NcclCommunicator.Join(_nccl, _device, id, sending ? 0 : 1, 2, () => LookWhileJoining(_host, call));
        lock (_gate)
            _pairs.Add((peer, sending), pair);
        return pair;
    }

    private NcclCommunicator[] Pairs()
    {
        lock (_gate)
            return [.. _pairs.Values];
    }
}
