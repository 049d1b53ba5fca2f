using System.Diagnostics;
using Cluster.Worker.Collectives.Reductions;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>
/// One of NCCL's communicators, with a stream of its own, and one for signals behind it. Calls put work on the stream and return; they
/// may come from any thread.
/// </summary>
internal sealed unsafe class NcclCommunicator : IDisposable
{
    // By the codes of Reduction: float32, float64, bfloat16, float16, int64; and sum, mean, min, max.
    private static readonly int[] DataTypes = [7, 8, 9, 6, 4]; // ncclDataType_t
    private static readonly int[] Operators = [0, 4, 3, 2]; // ncclRedOp_t

    private static readonly TimeSpan LongestLeave = TimeSpan.FromSeconds(5);

    private readonly NcclLibrary _nccl;
    private readonly CudaDevice _device;
    private readonly Lock _gate = new();
    private readonly nint _stream;
    private readonly nint _signals;
    private readonly nint _computed;
    private nint _handle;

    private NcclCommunicator(NcclLibrary nccl, CudaDevice device)
    {
        (_nccl, _device) = (nccl, device);
        device.Enter();
        _stream = device.Driver.CreateStream();
        _signals = device.Driver.CreateStream();
        _computed = device.Driver.CreateEvent();
    }

    /// <summary>Joins the ranks that were given the same id. Returns once all have come.</summary>
    /// <param name="nccl">The library.</param>
    /// <param name="device">This rank's.</param>
    /// <param name="id">Made by one of them.</param>
    /// <param name="rank">From 0.</param>
    /// <param name="ranks">That join.</param>
    /// <param name="look">Called again and again meanwhile; throws to give up.</param>
    /// <exception cref="DeviceException">NCCL could not join them.</exception>
    public static NcclCommunicator Join(NcclLibrary nccl, CudaDevice device, NcclLibrary.UniqueId id, int rank, int ranks, Action look)
    {
        var made = new NcclCommunicator(nccl, device);
        try
        {
            var config = NcclLibrary.Config.NonBlocking();
            fixed (nint* handle = &made._handle)
                made.Settle(nccl.InitRank(handle, ranks, id, rank, &config), "ncclCommInitRankConfig", look);
            return made;
        }
        catch
        {
            made.Abort();
            made.Dispose();
            throw;
        }
    }

    public static int TypeOf(Reduction reduction) => DataTypes[(reduction.Code - 1) / Operators.Length];

    public static int OperatorOf(Reduction reduction) => Operators[(reduction.Code - 1) % Operators.Length];

    /// <summary>Puts an exchange, of one call or several, behind what the compute stream has been given so far.</summary>
    /// <returns>An event that comes after it, which the caller destroys, and a signal that comes after that.</returns>
    /// <exception cref="DeviceException">NCCL refuses it, or has been given up.</exception>
    public (nint Done, StreamSignal Signal) Begin(IReadOnlyList<NcclCall> calls, Action look)
    {
        lock (_gate)
        {
            _device.Enter();
            var driver = _device.Driver;
            foreach (var call in calls)
            {
                driver.Record(_computed, CudaDriver.ComputeStream);
                driver.Wait(_stream, _computed);
                Settle(call.Make(_nccl, Handle, _stream), call.Name, look);
            }

            var done = driver.CreateEvent();
            driver.Record(done, _stream);
            driver.Wait(_signals, done);
            return (done, StreamSignal.Put(driver, _signals));
        }
    }

    /// <summary>Throws if NCCL has met an error since.</summary>
    /// <exception cref="DeviceException">It has, or has been given up.</exception>
    public void ThrowIfFailed()
    {
        lock (_gate)
        {
            var state = State();
            if (state != NcclLibrary.InProgress)
                _nccl.Check(state, "ncclCommGetAsyncError");
        }
    }

    /// <summary>Ends what is on the stream. Nothing can be begun afterwards.</summary>
    public void Abort()
    {
        lock (_gate)
        {
            if (_handle == 0)
                return;
            _device.Enter();
            _nccl.Abort(_handle);
            _handle = 0;
        }
    }

    /// <summary>Waits for what is on the stream, unless it has been aborted.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _device.Enter();
            if (_handle != 0)
            {
                Leave();
                _handle = 0;
            }

            _device.Driver.DestroyEvent(_computed);
            _device.Driver.DestroyStream(_stream);
            _device.Driver.DestroyStream(_signals);
        }
    }

    /// <summary>In peace if all ranks leave; else by force, for one that died would be waited for.</summary>
    private void Leave()
    {
        var began = Stopwatch.GetTimestamp();
        var state = _nccl.Finalize(_handle);
        while (state == NcclLibrary.InProgress && Stopwatch.GetElapsedTime(began) < LongestLeave)
        {
            Thread.Yield();
            state = State();
        }

        _ = state == NcclLibrary.Success ? _nccl.Destroy(_handle) : _nccl.Abort(_handle);
    }

    private nint Handle => _handle != 0 ? _handle : throw new DeviceException("this rank has given its communicator up");

    /// <summary>A communicator that does not block answers that it is still about it: then it is asked until it is not.</summary>
    private void Settle(int result, string call, Action look)
    {
        for (; result == NcclLibrary.InProgress; result = State())
        {
            look();
            Thread.Yield();
        }

        _nccl.Check(result, call);
    }

    private int State()
    {
        int state;
        _nccl.Check(_nccl.AsyncError(Handle, &state), "ncclCommGetAsyncError");
        return state;
    }
}

/// <summary>A call of NCCL's that puts work on a stream.</summary>
/// <param name="Name">In NCCL's header, for errors.</param>
/// <param name="Make">Makes it.</param>
internal sealed record NcclCall(string Name, NcclCall.Function Make)
{
    public delegate int Function(NcclLibrary nccl, nint communicator, nint stream);
}
