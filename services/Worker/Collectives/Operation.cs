using System.Diagnostics;
using System.Globalization;
using Cluster.Worker.Collectives.Reductions;

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
    private const int KindBits = 8;

    /// <summary>
    /// What a rank that waits for a waiting one adds to its patience, at least: several times the interval at which waits look up.
    /// </summary>
    private static readonly TimeSpan LeastGrace = TimeSpan.FromMilliseconds(250);

    private readonly GroupMembers members;
    private readonly long started;
    private readonly TimeSpan timeout;

    public Operation(OperationKind kind, string name, long bytes, GroupMembers members, TimeSpan timeout)
        : this((int)kind, name, bytes, 0, members, timeout, Stopwatch.GetTimestamp())
    {
    }

    /// <summary>One of the calls that callers of the group make.</summary>
    /// <param name="kind">What is done.</param>
    /// <param name="reduction">With what, where values are reduced.</param>
    /// <param name="name">The caller's name for it.</param>
    /// <param name="bytes">Size that every rank must agree on.</param>
    /// <param name="number">Counts the group's collective calls, or those between two ranks in one direction: the same on all that take
    /// part.</param>
    /// <param name="members">Who they are.</param>
    /// <param name="timeout">Longest that it may take.</param>
    public Operation(OperationKind kind, Reduction? reduction, string name, long bytes, long number, GroupMembers members, TimeSpan timeout)
        : this((int)kind | ((reduction?.Code ?? 0) << KindBits), name, bytes, number, members, timeout, Stopwatch.GetTimestamp())
    {
    }

    private Operation(int signature, string name, long bytes, long number, GroupMembers members, TimeSpan timeout, long started)
    {
        Signature = signature;
        Name = name;
        Bytes = bytes;
        Number = number;
        this.members = members;
        this.timeout = timeout;
        this.started = started;
    }

    public OperationKind Kind => KindOf(Signature);

    /// <summary>The kind and the reduction, as peers compare them.</summary>
    public int Signature { get; }

    public string Name { get; }

    /// <summary>Size that every rank must agree on.</summary>
    public long Bytes { get; }

    public long Number { get; }

    /// <summary>Of the group.</summary>
    public int Ranks => members.Ranks.Count;

    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(started);

    public bool IsOverdue => Elapsed >= timeout;

    public static OperationKind KindOf(int signature) => (OperationKind)(signature & ((1 << KindBits) - 1));

    /// <summary>For messages: <c>an all-reduce of 40 bytes (sum of float32)</c>.</summary>
    public static string Words(int signature, long bytes)
    {
        var reduction = signature >> KindBits;
        return FormattableString.Invariant(
            $"{Article(KindOf(signature))} of {bytes} bytes{(reduction == 0 ? "" : $" ({Reduction.Words(reduction)})")}");
    }

    /// <summary>
    /// The same call with more patience, for a rank that waits for one that may itself be waiting: whoever is nearest to the late rank
    /// must be the first to give up, or the wrong rank is named.
    /// </summary>
    /// <param name="links">Ranks between this one and the one that may be late.</param>
    public Operation Behind(int links)
    {
        var grace = timeout / 10 > LeastGrace ? timeout / 10 : LeastGrace;
        return new Operation(Signature, Name, Bytes, Number, members, timeout + (links * grace), started);
    }

    public CollectiveException Late(int peer) =>
        Fault(CollectiveFault.PeerLate, peer, FormattableString.Invariant($"did not come within {timeout.TotalSeconds:0.###} s"));

    public CollectiveException Lost(int peer, string what, Exception? cause = null) => Fault(CollectiveFault.PeerLost, peer, what, cause);

    public CollectiveException OutOfStep(int peer, int theirs, long theirBytes) => Fault(
        CollectiveFault.OutOfStep, peer,
        $"is out of step: it makes {Words(theirs, theirBytes)} where this rank makes {Words(Signature, Bytes)}");

    public CollectiveException Aborted(int messenger, int culprit) =>
        Fault(CollectiveFault.Aborted, culprit, FormattableString.Invariant($"failed, as rank {members.JobRank(messenger)} says,"));

    /// <summary>Nobody can be named.</summary>
    /// <param name="what">"NCCL did not end": begins the message.</param>
    /// <param name="cause">What was answered.</param>
    public CollectiveException Unfinished(string what, Exception? cause = null) => new(
        CollectiveFault.DeviceFailed, peer: -1, string.Create(
            CultureInfo.InvariantCulture,
            $"{what} in '{Name}'{members.OfGroup}: {Words(Signature, Bytes)}, operation {Number} (seen by rank "
                + $"{members.JobRank(members.Me)} after {Elapsed.TotalSeconds:0.0##} s)"),
        cause)
    {
        Member = members.Me, // what the peers are told: who has it is to be asked what it is
        Operation = Name,
        Waited = Elapsed,
    };

    private CollectiveException Fault(CollectiveFault fault, int peer, string what, Exception? cause = null) => new(
        fault, members.JobRank(peer),
        string.Create(
            CultureInfo.InvariantCulture,
            $"rank {members.JobRank(peer)} {what} in '{Name}'{members.OfGroup}: {Words(Signature, Bytes)}, "
                + $"operation {Number} (seen by rank {members.JobRank(members.Me)} after {Elapsed.TotalSeconds:0.0##} s)"),
        cause)
    {
        Member = peer,
        Operation = Name,
        Waited = Elapsed,
    };

    private static string Article(OperationKind kind) => kind switch
    {
        OperationKind.AllReduce => "an all-reduce",
        OperationKind.ReduceScatter => "a reduce-scatter",
        OperationKind.AllGather => "an all-gather",
        OperationKind.Broadcast => "a broadcast",
        OperationKind.PointToPoint => "a send",
        OperationKind.Barrier => "a barrier",
        OperationKind.Abort => "the end",
        _ => FormattableString.Invariant($"unknown operation {(int)kind}"),
    };
}
