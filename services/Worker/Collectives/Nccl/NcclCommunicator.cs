using System.Diagnostics;
using Cluster.Worker.Collectives.Reductions;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>
/// One of NCCL's communicators, with a stream of its own. Calls put work on the stream and return; they may come from any thread.
/// </summary>
internal sealed unsafe class NcclCommunicator : IDisposable
{
    // By the codes of Reduction: float32, float64, bfloat16, float16, int64; and sum, mean, min, max.
    private static readonly int[] DataTypes = [7, 8, 9, 6, 4]; // ncclDataType_t
    private static readonly int[] Operators = [0, 4, 3, 2]; // ncclRedOp_t

    private static readonly TimeSpan LongestLeave = TimeSpan.FromSeconds(5);

    private readonly NcclLibrary nccl;
    private readonly CudaDevice device;
    private readonly Lock gate = new();
    private readonly nint stream;
    private readonly nint computed;
    private nint handle;

    private NcclCommunicator(NcclLibrary nccl, CudaDevice device)
    {
        (this.nccl, this.device) = (nccl, device);
        device.Enter();
        stream = device.Driver.CreateStream();
        computed = device.Driver.CreateEvent();
    }

    /// <summary>Puts a call on a stream.</summary>
    public delegate int Call(NcclLibrary nccl, nint communicator, nint stream);

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
            fixed (nint* handle = &made.handle)
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

    /// <summary>Puts an exchange behind what the compute stream has been given so far.</summary>
    /// <returns>An event that comes after it, which the caller destroys.</returns>
    /// <exception cref="DeviceException">NCCL refuses it, or has been given up.</exception>
    public nint Begin(Call call, string name, Action look)
    {
        lock (gate)
        {
            device.Enter();
            var driver = device.Driver;
            driver.Record(computed, CudaDriver.ComputeStream);
            driver.Wait(stream, computed);
            Settle(call(nccl, Handle, stream), name, look);
            var done = driver.CreateEvent();
            driver.Record(done, stream);
            return done;
        }
    }

    /// <summary>Throws if NCCL has met an error since.</summary>
    /// <exception cref="DeviceException">It has, or has been given up.</exception>
    public void ThrowIfFailed()
    {
        lock (gate)
        {
            var state = State();
            if (state != NcclLibrary.InProgress)
                nccl.Check(state, "ncclCommGetAsyncError");
        }
    }

    /// <summary>Ends what is on the stream. Nothing can be begun afterwards.</summary>
    public void Abort()
    {
        lock (gate)
        {
            if (handle == 0)
                return;
            device.Enter();
            nccl.Abort(handle);
            handle = 0;
        }
    }

    /// <summary>Waits for what is on the stream, unless it has been aborted.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            device.Enter();
            if (handle != 0)
            {
                Leave();
                handle = 0;
            }

            device.Driver.DestroyEvent(computed);
            device.Driver.DestroyStream(stream);
        }
    }

    /// <summary>In peace if all ranks leave; else by force, for one that died would be waited for.</summary>
    private void Leave()
    {
        var began = Stopwatch.GetTimestamp();
        var state = nccl.Finalize(handle);
        while (state == NcclLibrary.InProgress && Stopwatch.GetElapsedTime(began) < LongestLeave)
        {
            Thread.Yield();
            state = State();
        }

        _ = state == NcclLibrary.Success ? nccl.Destroy(handle) : nccl.Abort(handle);
    }

    private nint Handle => handle != 0 ? handle : throw new DeviceException("this rank has given its communicator up");

    /// <summary>A communicator that does not block answers that it is still about it: then it is asked until it is not.</summary>
    private void Settle(int result, string call, Action look)
    {
        for (; result == NcclLibrary.InProgress; result = State())
        {
            look();
            Thread.Yield();
        }

        nccl.Check(result, call);
    }

    private int State()
    {
        int state;
        nccl.Check(nccl.AsyncError(Handle, &state), "ncclCommGetAsyncError");
        return state;
    }
}
