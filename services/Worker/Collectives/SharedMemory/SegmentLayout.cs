using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>Where things lie in the segment that the ranks of one node share.</summary>
/// <remarks>
/// First a header a rank, then two staging slots a rank, then one mailbox for each ordered pair of ranks. A fresh segment is all
/// zeros, and all zeros is the state in which nobody has arrived.
/// </remarks>
internal sealed class SegmentLayout(int ranks, int chunkBytes)
{
    /// <summary>Holds a mailbox message's next portion.</summary>
    public const int MailboxBytes = 64 << 10;

    private const int PageBytes = 4096;

    public int SlotBytes { get; } = RoundUp(chunkBytes);

    public long TotalBytes => MailboxAt(ranks - 1, ranks - 1) + MailboxStride;

    private static long MailboxStride => PageBytes + MailboxBytes;

    public static long HeaderAt(int rank) => (long)rank * PageBytes;

    public long SlotAt(int rank, int slot) => HeaderAt(ranks) + ((((long)rank * 2) + slot) * SlotBytes);

    public long MailboxAt(int source, int destination) => SlotAt(ranks, 0) + ((((long)source * ranks) + destination) * MailboxStride);

    public static long MailboxData(long mailbox) => mailbox + PageBytes;

    public static int RoundUp(int bytes) => (bytes + PageBytes - 1) / PageBytes * PageBytes;

    public static long RoundUp(long bytes) => (bytes + PageBytes - 1) / PageBytes * PageBytes;
}

/// <summary>What one rank tells the others of its node. Each word that a rank waits on has a cache line to itself.</summary>
[StructLayout(LayoutKind.Explicit, Size = 1024)]
internal struct RankHeader
{
    /// <summary>Phases that this rank has arrived at; the word that peers sleep on.</summary>
    [FieldOffset(0)]
    public int Arrived;

    /// <summary>Peers asleep on <see cref="Arrived"/>; while it is 0, arriving costs no system call.</summary>
    [FieldOffset(64)]
    public int Sleepers;

    /// <summary>What the rank is doing in even and in odd phases: a rank can be one phase ahead of its peers, never two.</summary>
    [FieldOffset(128)]
    public PhaseStamp EvenPhase;

    [FieldOffset(192)]
    public PhaseStamp OddPhase;

    [FieldOffset(256)]
    public int ProcessId;

    /// <summary>Tells the process from a later one with the same id (clock ticks since boot).</summary>
    [FieldOffset(264)]
    public long ProcessStart;

    [FieldOffset(320)]
    public int Departure;

    /// <summary>With <see cref="SharedMemory.Departure.Failed"/>, the rank it blames.</summary>
    [FieldOffset(324)]
    public int Culprit;
}

/// <summary>One mailbox's two counters: portions put in and portions taken out.</summary>
[StructLayout(LayoutKind.Explicit, Size = 512)]
internal struct MailboxHeader
{
    [FieldOffset(0)]
    public int Filled;

    [FieldOffset(64)]
    public int FilledSleepers;

    [FieldOffset(128)]
    public int Emptied;

    [FieldOffset(192)]
    public int EmptiedSleepers;

    /// <summary>Size of the whole message that the portion belongs to.</summary>
    [FieldOffset(256)]
    public long MessageBytes;
}

[StructLayout(LayoutKind.Sequential)]
internal struct PhaseStamp
{
    public int Signature;
    public long Bytes;

    /// <summary>0: the staging slots; else 1 + the position within a shared buffer, plus the buffer's number in the upper bits.</summary>
    public long Place;
}

internal static class Departure
{
    public const int None = 0;
    public const int Left = 1;
    public const int Failed = 2;
}
