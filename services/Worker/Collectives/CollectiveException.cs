namespace Cluster.Worker.Collectives;

/// <summary>Why an exchange failed.</summary>
public enum CollectiveFault
{
    /// <summary>The peer's process ended or closed its connection.</summary>
    PeerLost,

    /// <summary>The peer did not come within the operation's time.</summary>
    PeerLate,

    /// <summary>The peer made another call than this rank.</summary>
    OutOfStep,

    /// <summary>Another rank found a fault first and told this one.</summary>
    Aborted,

    /// <summary>The ranks could not be joined in the first place.</summary>
    NotConnected,

    /// <summary>CUDA or NCCL answered with an error, or did not end, and no peer is known to be the reason.</summary>
    DeviceFailed,
}

/// <summary>A fault in an exchange between ranks; the message names the peer, the operation and how long it was waited for.</summary>
public sealed class CollectiveException : Exception
{
    public CollectiveException()
    {
    }

    public CollectiveException(string message)
        : base(message)
    {
    }

    public CollectiveException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public CollectiveException(CollectiveFault fault, int peer, string message, Exception? innerException = null)
        : base(message, innerException)
    {
        Fault = fault;
        Peer = peer;
    }

    public CollectiveFault Fault { get; }

    /// <summary>The rank that is at fault, by the job's number; -1 when none can be named.</summary>
    public int Peer { get; } = -1;

    /// <summary>Empty for faults outside an operation.</summary>
    public string Operation { get; init; } = "";

    /// <summary>Time spent in the operation before it was given up.</summary>
    public TimeSpan Waited { get; init; }

    /// <summary>The rank at fault by its number in the group that failed.</summary>
    internal int Member { get; init; } = -1;
}
