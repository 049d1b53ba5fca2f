using System.Diagnostics;

namespace Cluster.Worker.Collectives;

/// <summary>What a rank does in an exchange; peers compare it, so the values are part of the wire and shared-memory formats.</summary>
internal enum OperationKind
{
    None = 0,
    AllReduce = 1,
    ReduceScatter = 2,
    AllGather = 3,
    Broadcast = 4,
    PointToPoint = 5,
    Barrier = 6,

    /// <summary>Not an operation: the sender gave the group up, and says because of whom.</summary>
    Abort = 7,
}

/// <summary>One call on a group: what it is named in errors, and until when it may take.</summary>
internal readonly struct Operation
{
    /// <summary>What a rank that waits for a waiting one adds to its patience, at least: several times the interval at which waits look up.</summary>
    private static readonly TimeSpan LeastGrace = TimeSpan.FromMilliseconds(250);

    private readonly GroupMembers members;
    private readonly long started;
    private readonly TimeSpan timeout;

    public Operation(OperationKind kind, string name, long bytes, GroupMembers members, TimeSpan timeout)
        : this(kind, name, bytes, members, timeout, Stopwatch.GetTimestamp())
    {
    }

    private Operation(OperationKind kind, string name, long bytes, GroupMembers members, TimeSpan timeout, long started)
    {
        Kind = kind;
        Name = name;
        Bytes = bytes;
        this.members = members;
        this.timeout = timeout;
        this.started = started;
    }

    public OperationKind Kind { get; }

    public string Name { get; }

    /// <summary>Size that every rank must agree on.</summary>
    public long Bytes { get; }

    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(started);

    public bool IsOverdue => Elapsed >= timeout;

    /// <summary>
    /// The same call with more patience, for a rank that waits for one that may itself be waiting: whoever is nearest to the late rank
    /// must be the first to give up, or the wrong rank is named.
    /// </summary>
    /// <param name="links">Ranks between this one and the one that may be late.</param>
    public Operation Behind(int links)
    {
        var grace = timeout / 10 > LeastGrace ? timeout / 10 : LeastGrace;
        return new Operation(Kind, Name, Bytes, members, timeout + (links * grace), started);
    }

    public CollectiveException Late(int peer) =>
        Fault(CollectiveFault.PeerLate, peer, FormattableString.Invariant($"did not come within {timeout.TotalSeconds:0.###} s"));

    public CollectiveException Lost(int peer, string what, Exception? cause = null) => Fault(CollectiveFault.PeerLost, peer, what, cause);

    public CollectiveException OutOfStep(int peer, OperationKind theirs, long theirBytes) => Fault(
        CollectiveFault.OutOfStep, peer,
        FormattableString.Invariant($"is out of step: it makes {Words(theirs)} of {theirBytes} bytes where this rank makes {Words(Kind)} of {Bytes}"));

    public CollectiveException Aborted(int messenger, int culprit) =>
        Fault(CollectiveFault.Aborted, culprit, FormattableString.Invariant($"failed, as rank {members.JobRank(messenger)} says,"));

    private CollectiveException Fault(CollectiveFault fault, int peer, string what, Exception? cause = null) => new(
        fault, members.JobRank(peer),
        FormattableString.Invariant(
            $"rank {members.JobRank(peer)} {what} in '{Name}'{members.OfGroup} (seen by rank {members.JobRank(members.Me)} after {Elapsed.TotalSeconds:0.0##} s)"),
        cause)
    {
        Member = peer,
        Operation = Name,
        Waited = Elapsed,
    };

    private static string Words(OperationKind kind) => kind switch
    {
        OperationKind.AllReduce => "an all-reduce",
        OperationKind.ReduceScatter => "a reduce-scatter",
        OperationKind.AllGather => "an all-gather",
        OperationKind.Broadcast => "a broadcast",
        OperationKind.PointToPoint => "a send",
        OperationKind.Barrier => "a barrier",
        _ => FormattableString.Invariant($"unknown operation {(int)kind}"),
    };
}
