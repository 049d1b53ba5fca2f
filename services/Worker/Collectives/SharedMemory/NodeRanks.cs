using System.Diagnostics;

namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>
/// How the ranks of one node keep step: each counts the phases it has arrived at in its own word, and waits until all others have
/// counted as far. Sees when a peer is late, gone or doing something else.
/// </summary>
internal sealed unsafe class NodeRanks
{
    /// <summary>Longest sleep before a waiting rank looks whether its peers still live.</summary>
    private static readonly TimeSpan LifeSign = TimeSpan.FromMilliseconds(100);

    private readonly byte* segment;
    private readonly int[] groupRanks;
    private readonly int me;
    private readonly TimeSpan spinTime;
    private int phase;

    /// <summary>Sees the segment through one rank's eyes.</summary>
    /// <param name="segment">The mapped segment.</param>
    /// <param name="groupRanks">The ranks of this node, ascending; their places are the local numbers used here.</param>
    /// <param name="me">This rank's local number.</param>
    /// <param name="spinTime">How long to look at a word before sleeping on it.</param>
    public NodeRanks(byte* segment, int[] groupRanks, int me, TimeSpan spinTime)
    {
        this.segment = segment;
        this.groupRanks = groupRanks;
        this.me = me;
        this.spinTime = spinTime;
    }

    public int Count => groupRanks.Length;

    /// <summary>The number in the group of this node's n-th rank.</summary>
    public int MemberAt(int local) => groupRanks[local];

    /// <summary>Which of the two staging slots the coming phase uses.</summary>
    public int Slot => (phase + 1) & 1;

    /// <summary>Makes this rank known; peers wait for that in the first phase.</summary>
    public void Enter()
    {
        // The id last: who sees it takes the start for good, and a start that does not match for a death.
        Header(me)->ProcessStart = ProcessIdentity.StartOf(Environment.ProcessId) ?? 0;
        Volatile.Write(ref Header(me)->ProcessId, Environment.ProcessId);
    }

    /// <summary>
    /// Says that this rank has written what the phase needs, and waits until all have. What was written to a slot may be overwritten two
    /// phases later: nobody gets there before everyone has read it.
    /// </summary>
    /// <param name="operation">The call.</param>
    /// <param name="place">Where the values lie, which must be the same for all: 0 for the slots.</param>
    public void Meet(in Operation operation, long place = 0)
    {
        phase++;
        var header = Header(me);
        *Stamp(header) = new PhaseStamp { Signature = operation.Signature, Bytes = operation.Bytes, Place = place };
        Advance(&header->Arrived, &header->Sleepers);
        for (var peer = 0; peer < Count; peer++)
        {
            if (peer == me)
                continue;
            var theirs = Header(peer);
            AwaitAtLeast(&theirs->Arrived, &theirs->Sleepers, phase, peer, operation);
            var stamp = *Stamp(theirs);
            if (stamp.Signature != operation.Signature || stamp.Bytes != operation.Bytes || stamp.Place != place)
                throw operation.OutOfStep(groupRanks[peer], stamp.Signature, stamp.Bytes);
        }
    }

    /// <summary>
    /// Adds one to a word of this rank's and wakes who sleeps on it. A full fence: what was written before is seen first.
    /// </summary>
    public static void Advance(int* word, int* sleepers)
    {
        Interlocked.Increment(ref *word);
        if (Volatile.Read(ref *sleepers) != 0)
            Futex.WakeAll(word);
    }

    /// <summary>Waits until a word of <paramref name="peer"/>'s has counted to <paramref name="target"/>; counts may wrap around.</summary>
    public void AwaitAtLeast(int* word, int* sleepers, int target, int peer, in Operation operation)
    {
        if (Spin(word, target))
            return;

        Interlocked.Increment(ref *sleepers);
        try
        {
            var lastCheck = Stopwatch.GetTimestamp();
            for (var seen = Volatile.Read(ref *word); seen - target < 0; seen = Volatile.Read(ref *word))
            {
                Futex.SleepWhile(word, seen, LifeSign);
                if (Stopwatch.GetElapsedTime(lastCheck) < LifeSign)
                    continue;
                lastCheck = Stopwatch.GetTimestamp();
                CheckPeers(word, target, peer, operation);
                if (operation.IsOverdue)
                    throw operation.Late(groupRanks[peer]);
            }
        }
        finally
        {
            Interlocked.Decrement(ref *sleepers);
        }
    }

    /// <summary>Throws if a peer is gone or has given up.</summary>
    public void RequirePeers(in Operation operation)
    {
        for (var peer = 0; peer < Count; peer++)
        {
            if (peer != me && FaultOf(peer, operation) is { } fault)
                throw fault;
        }
    }

    /// <summary>Leaves word for the peers. Waking them is not needed: they look around at every life sign.</summary>
    public void Depart(int departure, int culprit)
    {
        var header = Header(me);
        if (Volatile.Read(ref header->Departure) != Departure.None)
            return; // the first word counts: a rank that failed also leaves
        header->Culprit = culprit;
        Volatile.Write(ref header->Departure, departure);
    }

    /// <returns>Whether the word has come to the target meanwhile.</returns>
    private bool Spin(int* word, int target)
    {
        const int looksAtOnce = 32; // to ask for the time costs more than to look
        var began = 0L;
        do
        {
            for (var i = 0; i < looksAtOnce; i++)
            {
                if (Volatile.Read(ref *word) - target >= 0)
                    return true;
                Thread.SpinWait(1);
            }

            if (began == 0)
                began = Stopwatch.GetTimestamp();
        }
        while (Stopwatch.GetElapsedTime(began) < spinTime);
        return false;
    }

    /// <summary>
    /// Throws if a peer is gone, unless the awaited word has come meanwhile: the peer may have left after its last phase.
    /// </summary>
    private void CheckPeers(int* word, int target, int awaited, in Operation operation)
    {
        var mine = Header(me);
        if (Volatile.Read(ref mine->Departure) == Departure.Failed)
            throw operation.Aborted(groupRanks[me], mine->Culprit); // another thread of this rank gave up
        for (var peer = 0; peer < Count; peer++)
        {
            if (peer == me)
                continue;
            var fault = FaultOf(peer, operation);
            if (fault is null || Volatile.Read(ref *word) - target >= 0)
                continue;
            if (peer != awaited && fault.Fault != CollectiveFault.Aborted && Volatile.Read(ref Header(peer)->Arrived) - phase >= 0)
                continue; // it did its part of this phase; the awaited one is what is missing
            throw fault;
        }
    }

    /// <summary>What is to be said of a peer that is gone or has given up.</summary>
    private CollectiveException? FaultOf(int peer, in Operation operation)
    {
        var header = Header(peer);
        var processId = Volatile.Read(ref header->ProcessId);
        return Volatile.Read(ref header->Departure) switch
        {
            Departure.Failed => operation.Aborted(groupRanks[peer], header->Culprit),
            Departure.Left => operation.Lost(groupRanks[peer], "left the group"),
            _ when processId != 0 && ProcessIdentity.StartOf(processId) != header->ProcessStart =>
                operation.Lost(groupRanks[peer], FormattableString.Invariant($"is dead (process {processId})")),
            _ => null,
        };
    }

    private RankHeader* Header(int rank) => (RankHeader*)(segment + SegmentLayout.HeaderAt(rank));

    private PhaseStamp* Stamp(RankHeader* header) => (phase & 1) == 0 ? &header->EvenPhase : &header->OddPhase;
}
