using System.Diagnostics;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>An exchange that is on NCCL's stream, or that could not be put there: which <see cref="Wait"/> says.</summary>
internal sealed class BegunExchange : IBegunExchange
{
    /// <summary>
    /// How long to look at the event without pause. Then a millisecond's sleep between two looks is little beside what has been waited
    /// already.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(5);

    /// <summary>Longest wait between two looks at the peers.</summary>
    private static readonly TimeSpan LookUp = TimeSpan.FromMilliseconds(100);

    /// <summary>For a peer that finished and left, or died, to be seen for what it is.</summary>
    private static readonly TimeSpan Doubt = TimeSpan.FromSeconds(1);

    private readonly NcclTransport transport;
    private readonly CudaDevice device;
    private readonly NcclCommunicator communicator;
    private readonly long began = Stopwatch.GetTimestamp();
    private readonly nint done;
    private long lastBeginningLook = Stopwatch.GetTimestamp();
    private readonly DeviceException? refusal;

    public BegunExchange(NcclTransport transport, CudaDevice device, NcclCommunicator communicator, NcclCommunicator.Call call, string name)
    {
        (this.transport, this.device, this.communicator) = (transport, device, communicator);
        try
        {
            done = communicator.Begin(call, name, LookWhileBeginning);
        }
        catch (DeviceException e)
        {
            refusal = e;
        }
    }

    public void Wait(in Operation operation)
    {
        if (refusal is not null)
            throw Blamed(operation, refusal);
        device.Enter();
        try
        {
            var lastLook = Stopwatch.GetTimestamp();
            while (!HasHappened(operation))
            {
                Pause();
                if (Stopwatch.GetElapsedTime(lastLook) < LookUp)
                    continue;
                lastLook = Stopwatch.GetTimestamp();
                Look(operation);
            }
        }
        finally
        {
            device.Driver.DestroyEvent(done);
        }
    }

    private void Look(in Operation operation)
    {
        try
        {
            transport.Look(communicator, operation);
        }
        catch (DeviceException e)
        {
            throw Blamed(operation, e);
        }
        catch (CollectiveException) when (HasHappenedAfterAll(operation))
        {
            return; // the peer left once it had done its part
        }

        if (!operation.IsOverdue)
            return;
        transport.Meet(operation.Behind(1));
        throw operation.Unfinished("NCCL did not end, though all ranks have come,");
    }

    /// <summary>NCCL says that something is wrong, not with whom: a peer that is dead is found by asking.</summary>
    private CollectiveException Blamed(in Operation operation, DeviceException error)
    {
        for (var asked = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(asked) < Doubt; Thread.Sleep(LookUp))
        {
            try
            {
                transport.RequirePeers(operation);
            }
            catch (CollectiveException e)
            {
                return e;
            }
        }

        return operation.Unfinished(error.Message, error);
    }

    private bool HasHappenedAfterAll(in Operation operation)
    {
        Thread.Sleep(LookUp);
        return HasHappened(operation);
    }

    private bool HasHappened(in Operation operation)
    {
        try
        {
            return device.Driver.HasHappened(done);
        }
        catch (DeviceException e)
        {
            throw operation.Unfinished(e.Message, e);
        }
    }

    private void Pause()
    {
        if (Stopwatch.GetElapsedTime(began) < Patience)
            Thread.Yield();
        else
            Thread.Sleep(1);
    }

    /// <summary>
    /// NCCL takes its time over a call only while it still connects ranks; the operation's own deadline begins with <see cref="Wait"/>.
    /// </summary>
    private void LookWhileBeginning()
    {
        if (Stopwatch.GetElapsedTime(lastBeginningLook) < LookUp)
            return;
        lastBeginningLook = Stopwatch.GetTimestamp();
        transport.LookWhileBeginning();
        if (Stopwatch.GetElapsedTime(began) >= transport.Patience)
            throw new DeviceException(
                FormattableString.Invariant($"NCCL has been taking the call for {transport.Patience.TotalSeconds:0.###} s"));
    }
}
