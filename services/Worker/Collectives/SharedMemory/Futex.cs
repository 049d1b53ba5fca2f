using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>Sleeping and waking on a word of memory that several processes map (Linux futex(2), not private).</summary>
internal static partial class Futex
{
    private const int Wait = 0;
    private const int Wake = 1;

    private static readonly nint CallNumber = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 202,
        Architecture.Arm64 => 98,
        var other => throw new PlatformNotSupportedException(
            $"no futex call number is known for {other}; shared-memory collectives run on x64 and arm64"),
    };

    /// <summary>
    /// Sleeps while the word still holds <paramref name="value"/>, until woken, at most for <paramref name="timeout"/>; may return early.
    /// </summary>
    public static unsafe void SleepWhile(int* word, int value, TimeSpan timeout)
    {
        // EAGAIN (the word has changed), EINTR and ETIMEDOUT all mean the same to the caller: look again.
        var limit = new TimeSpec(timeout);
        _ = Call(CallNumber, word, Wait, value, &limit, null, 0);
    }

    public static unsafe void WakeAll(int* word) => _ = Call(CallNumber, word, Wake, int.MaxValue, null, null, 0);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static unsafe partial nint Call(nint number, int* word, nint operation, nint value, TimeSpec* timeout, int* word2, nint value3);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec(TimeSpan span)
    {
        public readonly long Seconds = (long)span.TotalSeconds;
        public readonly long Nanoseconds = span.Ticks % TimeSpan.TicksPerSecond * 100;
    }
}
