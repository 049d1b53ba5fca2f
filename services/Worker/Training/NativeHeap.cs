using System.Runtime.InteropServices;

namespace Cluster.Worker.Training;

/// <summary>The heap that libtorch's tensors lie in.</summary>
/// <remarks>
/// A trainer's heap keeps what is freed (<see cref="Agent.TrainerEnvironment"/>), since every step takes the same pieces again. After
/// other work than steps it holds pieces that no step fits into.
/// </remarks>
internal static unsafe partial class NativeHeap
{
    // jemalloc(3): every arena; a cache of the thread's would hold pieces back.
    private static readonly string[] Purge = ["thread.tcache.flush", "arena.4096.purge"];

    /// <summary>Gives the system what is free, as far as the heap that this process has can.</summary>
    public static void Trim()
    {
        if (NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), "mallctl", out var address))
        {
            var control = (delegate* unmanaged<byte*, void*, nuint*, void*, nuint, int>)address;
            foreach (var name in Purge)
            {
                var text = Marshal.StringToCoTaskMemUTF8(name);
                control((byte*)text, null, null, null, 0);
                Marshal.FreeCoTaskMem(text);
            }
        }
        else
        {
            MallocTrim(0);
        }
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int MallocTrim(nuint pad);
}
