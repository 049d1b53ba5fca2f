using System.Runtime.InteropServices;
using Cluster.Worker.Collectives.Reductions;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>
/// Values on a GPU that NCCL does not serve, since two ranks share it: copied to the CPU's memory, exchanged there, and copied back.
/// </summary>
internal sealed class StagedTransport(CollectiveTransport host, CudaDevice device) : CollectiveTransport
{
    private delegate void Exchange(nint input, nint output);

    public override string Name { get; } = "staged+" + host.Name;

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
        var call = operation;
        var bytes = count * reduction.ElementBytes;
        Staged(values, bytes, values, bytes, operation, (_, copy) => host.AllReduce(copy, count, reduction, call));
    }

    public override void ReduceScatter(nint input, nint output, long count, Reduction reduction, in Operation operation)
    {
        var call = operation;
        Staged(input, operation.Bytes, output, count * reduction.ElementBytes, operation,
            (from, to) => host.ReduceScatter(from, to, count, reduction, call));
    }

    /// <param name="bytes">As in the base: the output is larger by the number of ranks.</param>
    public override void AllGather(nint input, nint output, long bytes, in Operation operation)
    {
        var call = operation;
        Staged(input, bytes, output, bytes * operation.Ranks, operation, (from, to) => host.AllGather(from, to, bytes, call));
    }

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
        var call = operation;
        Staged(values, bytes, values, bytes, operation, (_, copy) => host.Broadcast(copy, bytes, root, call));
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation)
    {
        var call = operation;
        Staged(values, bytes, 0, 0, operation, (copy, _) => host.Send(copy, bytes, destination, call));
    }

    public override void Receive(nint values, long bytes, int source, in Operation operation)
    {
        var call = operation;
        Staged(0, 0, values, bytes, operation, (_, copy) => host.Receive(copy, bytes, source, call));
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

    /// <summary>Exchanges in place of device memory copies of it; memory of the CPU as it is.</summary>
    private unsafe void Staged(nint input, long inputBytes, nint output, long outputBytes, in Operation operation, Exchange exchange)
    {
        device.Enter();
        if (!device.Holds(input) && !device.Holds(output))
        {
            exchange(input, output);
            return;
        }

        var inPlace = input == output;
        var (from, to) = ((nint)NativeMemory.Alloc((nuint)inputBytes + 1), inPlace ? 0 : (nint)NativeMemory.Alloc((nuint)outputBytes + 1));
        try
        {
            if (inputBytes > 0)
                device.Driver.CopyToHost(input, from, inputBytes);
            exchange(from, inPlace ? from : to);
            if (outputBytes > 0)
                device.Driver.CopyToDevice(inPlace ? from : to, output, outputBytes);
        }
        catch (DeviceException e)
        {
            throw operation.Unfinished(e.Message, e);
        }
        finally
        {
            NativeMemory.Free((void*)from);
            NativeMemory.Free((void*)to);
        }
    }
}
