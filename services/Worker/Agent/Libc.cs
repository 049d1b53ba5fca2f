using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Agent;

/// <summary>The few system calls that .NET does not offer. Linux, 64 bits.</summary>
internal static partial class Libc
{
    public const int Sigkill = 9;
    public const int Sigterm = 15;

    private const uint MemfdCloseOnExec = 1;
    private const int PrSetParentDeathSignal = 1;
    private const int CpuSetBytes = 128; // 1024 CPUs, as glibc's cpu_set_t

    /// <summary>An anonymous file in memory; gone when the last descriptor and mapping are.</summary>
    public static int CreateMemoryFile(string name) => Check(memfd_create(name, MemfdCloseOnExec), "memfd_create");

    public static void SetMode(int descriptor, UnixFileMode mode) => Check(fchmod(descriptor, (uint)mode), "fchmod");

    public static void Truncate(int descriptor, long bytes) => Check(ftruncate(descriptor, bytes), "ftruncate");

    /// <summary>Takes the pages now, so that a later write cannot fail for want of memory.</summary>
    /// <exception cref="Win32Exception">There are not so many.</exception>
    public static void Reserve(int descriptor, long bytes)
    {
        int result;
        const int interrupted = 4;
        do
        {
            result = fallocate(descriptor, 0, 0, bytes);
        }
        while (result < 0 && Marshal.GetLastPInvokeError() == interrupted);
        Check(result, "fallocate");
    }

    /// <summary>
    /// Gives a descriptor back. Whatever the call says, Linux has freed it; its errors tell of writes to a file on a disk, of which there
    /// are none.
    /// </summary>
    public static void Close(int descriptor) => _ = close(descriptor);

    /// <summary>False when the process is gone.</summary>
    public static bool TrySignal(int processId, int signal) => kill(processId, signal) == 0;

    /// <summary>Has the kernel send this process <see cref="Sigkill"/> when the thread that forked it ends.</summary>
    public static void DieWithParent() => Check(prctl(PrSetParentDeathSignal, Sigkill, 0, 0, 0), "prctl");

    /// <summary>Ends the process at once: no exit handlers, no destructors.</summary>
    public static void ExitNow(int code) => _exit(code);

    /// <summary>The cores that the calling thread may run on.</summary>
    public static unsafe IReadOnlyList<int> ThreadCores()
    {
        var mask = stackalloc byte[CpuSetBytes];
        Check(sched_getaffinity(0, CpuSetBytes, mask), "sched_getaffinity");
        var cores = new List<int>();
        for (var core = 0; core < CpuSetBytes * 8; core++)
        {
            if ((mask[core / 8] >> core % 8 & 1) != 0)
                cores.Add(core);
        }

        return cores;
    }

    /// <summary>Binds the calling thread; processes that it starts inherit this.</summary>
    public static unsafe void BindThread(IEnumerable<int> cores)
    {
        var mask = stackalloc byte[CpuSetBytes];
        new Span<byte>(mask, CpuSetBytes).Clear();
        foreach (var core in cores)
            mask[core / 8] |= (byte)(1 << core % 8);
        Check(sched_setaffinity(0, CpuSetBytes, mask), "sched_setaffinity");
    }

    private static int Check(int result, string call)
    {
        if (result >= 0)
            return result;
        var error = Marshal.GetLastPInvokeError();
        throw new Win32Exception(error, $"{call}: {Marshal.GetPInvokeErrorMessage(error)}");
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fchmod(int descriptor, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(int descriptor, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fallocate(int descriptor, int mode, long offset, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int processId, int signal);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int prctl(int option, nint arg2, nint arg3, nint arg4, nint arg5);

    [LibraryImport("libc")]
    private static partial void _exit(int code);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int sched_getaffinity(int processId, nuint bytes, byte* mask);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int sched_setaffinity(int processId, nuint bytes, byte* mask);
}
