using System.Diagnostics;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>An exchange that is on NCCL's stream, or that could not be put there: which <see cref="Wait"/> says.</summary>
internal sealed class PendingExchange : IPendingExchange
{
    /// <summary>Longest wait between two looks at the peers, and at the device: one that has failed signals nothing.</summary>
    private static readonly TimeSpan LookUp = TimeSpan.FromMilliseconds(100);

    /// <summary>For a peer that finished and left, or died, to be seen for what it is.</summary>
    private static readonly TimeSpan Doubt = TimeSpan.FromSeconds(1);

    private readonly NcclTransport _transport;
    private readonly CudaDevice _device;
    private readonly NcclCommunicator _communicator;
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly nint _done;
    private readonly StreamSignal? _signal;
    private long _lastBeginningLook = Stopwatch.GetTimestamp();
    private readonly DeviceException? _refusal;

    public PendingExchange(NcclTransport transport, CudaDevice device, NcclCommunicator communicator, IReadOnlyList<NcclCall> calls)
    {
        (_transport, _device, _communicator) = (transport, device, communicator);
        try
        {
            (_done, _signal) = communicator.Begin(calls, LookWhileBeginning);
        }
        catch (DeviceException e)
        {
            _refusal = e;
        }
    }

    public void HoldComputeStream()
    {
        if (_refusal is not null)
            return;
        _device.Enter();
        _device.Driver.Wait(CudaDriver.ComputeStream, _done);
    }

    public void Wait(in Operation operation)
    {
        if (_refusal is not null)
            throw Blamed(operation, _refusal);
        _device.Enter();
        try
        {
            while (!_signal!.Wait(LookUp) && !HasHappened(operation))
                Look(operation);
            _transport.RequireNotAborted(operation); // which ends exchanges too
        }
        finally
        {
            _device.Driver.DestroyEvent(_done);
        }
    }

    private void Look(in Operation operation)
    {
        try
        {
            _transport.Look(_communicator, operation);
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
        _transport.Meet(operation.Behind(1));
        throw operation.Unfinished("NCCL did not end, though all ranks have come,");
    }

    /// <summary>NCCL says that something is wrong, not with whom: a peer that is dead is found by asking.</summary>
    private CollectiveException Blamed(in Operation operation, DeviceException error)
    {
        for (var asked = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(asked) < Doubt; Thread.Sleep(LookUp))
        {
            try
            {
                _transport.RequirePeers(operation);
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
            return _device.Driver.HasHappened(_done);
        }
        catch (DeviceException e)
        {
            throw operation.Unfinished(e.Message, e);
        }
    }

    /// <summary>
    /// NCCL takes its time over a call only while it still connects ranks; the operation's own deadline begins with <see cref="Wait"/>.
    /// </summary>
    private void LookWhileBeginning()
    {
        if (Stopwatch.GetElapsedTime(_lastBeginningLook) < LookUp)
            return;
        _lastBeginningLook = Stopwatch.GetTimestamp();
        _transport.LookWhileBeginning();
        if (Stopwatch.GetElapsedTime(_began) >= _transport.Patience)
            throw new DeviceException(
                FormattableString.Invariant($"NCCL has been taking the call for {_transport.Patience.TotalSeconds:0.###} s"));
    }
}
