using System.Runtime.InteropServices;
using Cluster.Worker.Collectives.Reductions;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>
/// Values on a GPU that NCCL does not serve, since two ranks share it: copied to the CPU's memory, exchanged there, and copied back.
/// </summary>
internal sealed class StagedTransport(CollectiveTransport host, CudaDevice device) : CollectiveTransport
{
    public override string Name { get; } = "staged+" + host.Name;

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        var call = operation;
        var whole = new Part(values, 0, count * reduction.ElementBytes);
        if (!TryStaged(values, whole.Bytes, whole, whole, operation, copy => host.AllReduce(copy, count, reduction, call)))
            host.AllReduce(values, count, reduction, operation);
    }

    public override void ReduceScatter(nint input, nint output, in Shares shares, Reduction reduction, in Operation operation)
    {
        var (call, all, size) = (operation, shares, reduction.ElementBytes);
        var mine = new Part(output, shares[operation.Me].Start * size, shares[operation.Me].Count * size);
        var whole = new Part(input, 0, shares.Count * size);
        if (!TryStaged(input, whole.Bytes, whole, mine, operation, OfCopy))
            host.ReduceScatter(input, output, shares, reduction, operation);

        void OfCopy(nint copy) => host.ReduceScatter(copy, copy + (nint)mine.Begin, all, reduction, call);
    }

    public override void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation)
    {
        var (call, all) = (operation, shares);
        var mine = new Part(input, shares[operation.Me].Start * elementBytes, shares[operation.Me].Count * elementBytes);
        var whole = new Part(output, 0, shares.Count * elementBytes);
        if (!TryStaged(output, whole.Bytes, mine, whole, operation, OfCopy))
            host.AllGather(input, output, shares, elementBytes, operation);

        void OfCopy(nint copy) => host.AllGather(copy + (nint)mine.Begin, copy, all, elementBytes, call);
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        var call = operation;
        var whole = new Part(values, 0, bytes);
        if (!TryStaged(values, bytes, whole, whole, operation, copy => host.Broadcast(copy, bytes, root, call)))
            host.Broadcast(values, bytes, root, operation);
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation)
    {
        var call = operation;
        if (!TryStaged(values, bytes, new Part(values, 0, bytes), default, operation, copy => host.Send(copy, bytes, destination, call)))
            host.Send(values, bytes, destination, operation);
    }

    public override void Receive(nint values, long bytes, int source, in Operation operation)
    {
        var call = operation;
        if (!TryStaged(values, bytes, default, new Part(values, 0, bytes), operation, copy => host.Receive(copy, bytes, source, call)))
            host.Receive(values, bytes, source, operation);
    }

    public override void Barrier(in Operation operation) => host.Barrier(operation);

    public override void RequirePeers(in Operation operation) => host.RequirePeers(operation);

    public override Task<SharedBuffer?> ReserveSharedBufferAsync(string name, long bytes, CancellationToken cancellationToken) =>
        host.ReserveSharedBufferAsync(name, bytes, cancellationToken);

    public override void Abort(int culprit) => host.Abort(culprit);

    public override void Dispose()
    {
        host.Dispose();
        device.Dispose();
    }

    /// <summary>Exchanges a copy, in the CPU's memory, of what lies on the device.</summary>
    /// <param name="values">What is exchanged, or this rank's share of it.</param>
    /// <param name="bytes">Of the copy.</param>
    /// <param name="input">What is copied there before.</param>
    /// <param name="output">What is copied back.</param>
    /// <param name="operation">The call.</param>
    /// <param name="exchange">Of the copy.</param>
    /// <returns>False for values in the CPU's memory, which are left to the caller.</returns>
    private unsafe bool TryStaged(nint values, long bytes, Part input, Part output, in Operation operation, Action<nint> exchange)
    {
        device.Enter();
        if (!device.Holds(values))
            return false;

        var copy = (nint)NativeMemory.Alloc((nuint)bytes + 1);
        try
        {
            if (input.Bytes > 0)
                device.Driver.CopyToHost(input.Address, copy + (nint)input.Begin, input.Bytes);
            exchange(copy);
            if (output.Bytes > 0)
                device.Driver.CopyToDevice(copy + (nint)output.Begin, output.Address, output.Bytes);
            return true;
        }
        catch (DeviceException e)
        {
            throw operation.Unfinished(e.Message, e);
        }
        finally
        {
            NativeMemory.Free((void*)copy);
        }
    }

    /// <param name="Address">On the device.</param>
    /// <param name="Begin">Where it belongs in the copy, in bytes.</param>
    /// <param name="Bytes">How many.</param>
    private readonly record struct Part(nint Address, long Begin, long Bytes);
}
