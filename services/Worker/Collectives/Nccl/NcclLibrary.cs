using System.Runtime.InteropServices;
using Cluster.Worker.Devices.Cuda;

namespace Cluster.Worker.Collectives.Nccl;

/// <summary>NCCL's C API (nccl.h) from 2.14 on, which made communicators that do not block, and so can be given up.</summary>
internal sealed unsafe class NcclLibrary
{
    public const int Success = 0, InProgress = 7; // ncclResult_t
    public const int Bytes = 1; // ncclUint8

    /// <summary>NCCL_VERSION(2, 14, 0).</summary>
    private const int OldestVersion = 21400;

    public readonly delegate* unmanaged<UniqueId*, int> GetUniqueId;
    public readonly delegate* unmanaged<nint*, int, UniqueId, int, Config*, int> InitRank;
    public readonly delegate* unmanaged<nint, int*, int> AsyncError;
    public readonly delegate* unmanaged<nint, int> Finalize;
    public readonly delegate* unmanaged<nint, int> Destroy;
    public readonly delegate* unmanaged<nint, int> Abort;
    public readonly delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> AllReduce;
    public readonly delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> ReduceScatter;
    public readonly delegate* unmanaged<nint, nint, nuint, int, nint, nint, int> AllGather;
    public readonly delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> Broadcast;
    public readonly delegate* unmanaged<nint, nuint, int, int, nint, nint, int> Send;
    public readonly delegate* unmanaged<nint, nuint, int, int, nint, nint, int> Receive;

    private readonly delegate* unmanaged<int, byte*> errorString;

    /// <exception cref="NotSupportedException">It is missing or too old.</exception>
    public NcclLibrary(string name)
    {
        const string remedy = "install NCCL 2.14 or later (libnccl2), or set Collectives__NcclLibrary to the file";
        var library = new DeviceLibrary(name, remedy);
        int version;
        if (((delegate* unmanaged<int*, int>)library.Function("ncclGetVersion"))(&version) != Success || version < OldestVersion)
            throw new NotSupportedException($"{name} is version {version}, older than {OldestVersion} (2.14); {remedy}");
        errorString = (delegate* unmanaged<int, byte*>)library.Function("ncclGetErrorString");
        GetUniqueId = (delegate* unmanaged<UniqueId*, int>)library.Function("ncclGetUniqueId");
        InitRank = (delegate* unmanaged<nint*, int, UniqueId, int, Config*, int>)library.Function("ncclCommInitRankConfig");
        AsyncError = (delegate* unmanaged<nint, int*, int>)library.Function("ncclCommGetAsyncError");
        Finalize = (delegate* unmanaged<nint, int>)library.Function("ncclCommFinalize");
        Destroy = (delegate* unmanaged<nint, int>)library.Function("ncclCommDestroy");
        Abort = (delegate* unmanaged<nint, int>)library.Function("ncclCommAbort");
        AllReduce = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)library.Function("ncclAllReduce");
        ReduceScatter = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)library.Function("ncclReduceScatter");
        AllGather = (delegate* unmanaged<nint, nint, nuint, int, nint, nint, int>)library.Function("ncclAllGather");
        Broadcast = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)library.Function("ncclBroadcast");
        Send = (delegate* unmanaged<nint, nuint, int, int, nint, nint, int>)library.Function("ncclSend");
        Receive = (delegate* unmanaged<nint, nuint, int, int, nint, nint, int>)library.Function("ncclRecv");
    }

    public UniqueId NewUniqueId()
    {
        UniqueId id;
        Check(GetUniqueId(&id), "ncclGetUniqueId");
        return id;
    }

    public void Check(int result, string call)
    {
        if (result != Success)
            throw new DeviceException($"{call} answers {Describe(result)}");
    }

    public string Describe(int result) =>
        FormattableString.Invariant($"'{Marshal.PtrToStringUTF8((nint)errorString(result))}' (ncclResult_t {result})");

    /// <summary>ncclUniqueId, which calls take by value.</summary>
    public struct UniqueId
    {
        public const int Bytes = 128;

        public fixed byte Value[Bytes];
    }

    /// <summary>
    /// ncclConfig_t as 2.14 has it; later versions take what it lacks by default, since size and version say which it is.
    /// </summary>
    public struct Config
    {
        private nuint size;
        private uint magic;
        private uint version;
        private int blocking;

        public static Config NonBlocking() =>
            new() { size = (nuint)sizeof(Config), magic = 0xcafebeef, version = OldestVersion, blocking = 0 };
    }
}
