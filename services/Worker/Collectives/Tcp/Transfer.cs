namespace Cluster.Worker.Collectives.Tcp;

/// <summary>One message on its way out or in: where its next byte lies and how many remain.</summary>
/// <param name="next">First byte.</param>
/// <param name="bytes">Size of the message.</param>
/// <param name="tag">Given to who waits for it.</param>
internal sealed unsafe class Transfer(nint next, long bytes, int tag)
{
    public byte* Next { get; private set; } = (byte*)next;

    public long Remaining { get; private set; } = bytes;

    public int Tag { get; } = tag;

    /// <summary>Whether its header has been written, or seen.</summary>
    public bool HasStarted { get; set; }

    public void Advance(long moved)
    {
        Next += moved;
        Remaining -= moved;
    }
}

/// <summary>Is told, on the thread that moves data, what has come in.</summary>
internal interface ITransferObserver
{
    void Received(int tag);
}
