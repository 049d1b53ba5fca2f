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
    private readonly CollectiveTransport host;
    private readonly NcclLibrary nccl;
    private readonly CudaDevice device;
    private readonly NcclCommunicator all;
    private readonly GroupMembers members;
    private readonly Lock gate = new();
    private readonly Dictionary<(int Peer, bool Sending), NcclCommunicator> pairs = [];
    private volatile int culpritOfAbort = -1;

    private NcclTransport(
        CollectiveTransport host, NcclLibrary nccl, CudaDevice device, NcclCommunicator all, GroupMembers members, TimeSpan patience)
    {
        (this.host, this.nccl, this.device, this.all, this.members, Patience) = (host, nccl, device, all, members, patience);
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
        if (BeginAllReduce(values, count, reduction) is { } begun)
            begun.Wait(operation);
        else
            host.AllReduce(values, count, reduction, operation);
    }

    public override unsafe IBegunExchange? BeginAllReduce(nint values, long count, Reduction reduction)
    {
        var (type, op) = (NcclCommunicator.TypeOf(reduction), NcclCommunicator.OperatorOf(reduction));
        return device.Holds(values)
            ? Begin(all, (nccl, communicator, stream) => nccl.AllReduce(values, values, (nuint)count, type, op, communicator, stream),
                "ncclAllReduce")
            : null;
    }

    public override unsafe void ReduceScatter(nint input, nint output, long count, Reduction reduction, in Operation operation)
    {
        var (type, op) = (NcclCommunicator.TypeOf(reduction), NcclCommunicator.OperatorOf(reduction));
        if (device.Holds(input))
            Begin(all, (nccl, communicator, stream) => nccl.ReduceScatter(input, output, (nuint)count, type, op, communicator, stream),
                "ncclReduceScatter").Wait(operation);
        else
            host.ReduceScatter(input, output, count, reduction, operation);
    }

    public override unsafe void AllGather(nint input, nint output, long bytes, in Operation operation)
    {
        if (device.Holds(input))
            Begin(all, (nccl, communicator, stream) => nccl.AllGather(input, output, (nuint)bytes, NcclLibrary.Bytes, communicator, stream),
                "ncclAllGather").Wait(operation);
        else
            host.AllGather(input, output, bytes, operation);
    }

    public override unsafe void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        if (device.Holds(values))
            Begin(all,
                (nccl, communicator, stream) => nccl.Broadcast(values, values, (nuint)bytes, NcclLibrary.Bytes, root, communicator, stream),
                "ncclBroadcast").Wait(operation);
        else
            host.Broadcast(values, bytes, root, operation);
    }

    public override unsafe void Send(nint values, long bytes, int destination, in Operation operation)
    {
        if (!device.Holds(values))
            host.Send(values, bytes, destination, operation);
        else
            Begin(Pair(destination, sending: true, operation),
                (nccl, pair, stream) => nccl.Send(values, (nuint)bytes, NcclLibrary.Bytes, 1, pair, stream), "ncclSend").Wait(operation);
    }

    public override unsafe void Receive(nint values, long bytes, int source, in Operation operation)
    {
        if (!device.Holds(values))
            host.Receive(values, bytes, source, operation);
        else
            Begin(Pair(source, sending: false, operation),
                (nccl, pair, stream) => nccl.Receive(values, (nuint)bytes, NcclLibrary.Bytes, 0, pair, stream), "ncclRecv").Wait(operation);
    }

    public override void Barrier(in Operation operation) => host.Barrier(operation);

    public override void RequirePeers(in Operation operation) => host.RequirePeers(operation);

    public override void Abort(int culprit)
    {
        culpritOfAbort = culprit;
        host.Abort(culprit);
        all.Abort();
        foreach (var pair in Pairs())
            pair.Abort();
    }

    public override void Dispose()
    {
        all.Dispose();
        foreach (var pair in Pairs())
            pair.Dispose();
        host.Dispose();
        device.Dispose();
    }

    /// <summary>What a wait looks at now and then.</summary>
    internal void Look(NcclCommunicator communicator, in Operation operation)
    {
        if (culpritOfAbort >= 0)
            throw operation.Aborted(members.Me, culpritOfAbort);
        host.RequirePeers(operation);
        communicator.ThrowIfFailed();
    }

    /// <summary>As <see cref="Look"/> before there is an operation: what it finds is told by the wait, which looks again.</summary>
    /// <exception cref="DeviceException">It is of no use to go on.</exception>
    internal void LookWhileBeginning()
    {
        if (culpritOfAbort >= 0)
            throw new DeviceException("this rank has given its communicator up");
        try
        {
            host.RequirePeers(new Operation(OperationKind.AllReduce, "beginning", 0, members, Patience));
        }
        catch (CollectiveException e)
        {
            throw new DeviceException(e.Message);
        }
    }

    /// <summary>Who is missing? All that live meet on the CPU; who does not come is named.</summary>
    internal void Meet(in Operation operation) => host.Barrier(operation);

    private static void LookWhileJoining(CollectiveTransport host, in Operation operation)
    {
        host.RequirePeers(operation);
        if (operation.IsOverdue)
            throw operation.Unfinished("NCCL did not join the ranks in time");
    }

    private BegunExchange Begin(NcclCommunicator communicator, NcclCommunicator.Call call, string name) =>
        new(this, device, communicator, call, name);

    /// <summary>Its id goes by the other transport, ahead of the pair's first message.</summary>
    private unsafe NcclCommunicator Pair(int peer, bool sending, in Operation operation)
    {
        lock (gate)
        {
            if (pairs.TryGetValue((peer, sending), out var known))
                return known;
        }

        var id = sending ? nccl.NewUniqueId() : default;
        if (sending)
            host.Send((nint)(&id), NcclLibrary.UniqueId.Bytes, peer, operation);
        else
            host.Receive((nint)(&id), NcclLibrary.UniqueId.Bytes, peer, operation);
        var call = operation;
        var pair = NcclCommunicator.Join(nccl, device, id, sending ? 0 : 1, 2, () => LookWhileJoining(host, call));
        lock (gate)
            pairs.Add((peer, sending), pair);
        return pair;
    }

    private NcclCommunicator[] Pairs()
    {
        lock (gate)
            return [.. pairs.Values];
    }
}
