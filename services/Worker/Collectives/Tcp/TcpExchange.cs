using System.Net.Sockets;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// Moves all that the links have queued, in both directions at once and on the calling thread, so that two ranks that
/// send to each other never wait for each other.
/// </summary>
internal sealed class TcpExchange(PeerLink?[] links, GroupMembers members)
{
    /// <summary>Longest sleep before the deadline is looked at again.</summary>
    private const int PollMicroseconds = 100_000;

    private const int FarewellPollMicroseconds = 10_000;

    /// <summary>Rounds without progress before the thread sleeps in the kernel: a peer's answer is often microseconds away.</summary>
    private const int SpinRounds = 20;

    /// <summary>Longest wait for peers to take notice that this rank gives up. They are in the same exchange, so it is usually over at once.</summary>
    private static readonly TimeSpan FarewellTime = TimeSpan.FromSeconds(1);

    private readonly List<Socket> readable = [];
    private readonly List<Socket> writable = [];

    /// <summary>Returns when all is moved. A fault is told to the other peers before it is thrown, while the values still lie where they were queued.</summary>
    public void Run(in Operation operation)
    {
        try
        {
            MoveAll(operation);
        }
        catch (CollectiveException e)
        {
            // Only those in the midst of it: the others are told by Abort, when the ranks of this node know already.
            SayFarewell(e.Member, [.. links.OfType<PeerLink>().Where(link => link.IsSending || link.IsReceiving)]);
            throw;
        }
    }

    /// <summary>Tells every peer that has not been told that this rank gives up, and because of whom.</summary>
    public void SayFarewell(int culprit) => SayFarewell(culprit, [.. links.OfType<PeerLink>()]);

    private void SayFarewell(int culprit, IEnumerable<PeerLink> peers)
    {
        var operation = new Operation(OperationKind.Abort, "farewell", 0, members, FarewellTime);
        var remaining = peers.Where(link => link.Peer != culprit && !link.HasBegunFarewell).ToList();
        remaining.ForEach(link => link.BeginFarewell(culprit));
        while (remaining.Count > 0 && !operation.IsOverdue)
        {
            remaining.RemoveAll(link => link.TryFarewell(operation));
            if (remaining.Count > 0)
                Socket.Select(remaining.ConvertAll(link => link.Socket), null, null, FarewellPollMicroseconds);
        }
    }

    private void MoveAll(in Operation operation)
    {
        for (var idle = 0; ;)
        {
            var busy = false;
            var moved = false;
            foreach (var link in links)
            {
                if (link is null)
                    continue;
                if (link.IsSending)
                    moved |= link.TrySend(operation);
                if (link.IsReceiving)
                    moved |= link.TryReceive(operation);
                busy |= link.IsSending || link.IsReceiving;
            }

            if (!busy)
                return;
            idle = moved ? 0 : idle + 1;
            if (idle > SpinRounds)
                Sleep(operation);
        }
    }

    private void Sleep(in Operation operation)
    {
        readable.Clear();
        writable.Clear();
        PeerLink? awaited = null;
        foreach (var link in links)
        {
            if (link is null)
                continue;
            if (link.IsReceiving)
            {
                readable.Add(link.Socket);
                awaited ??= link;
            }

            if (link.IsSending)
                writable.Add(link.Socket);
        }

        awaited ??= Array.Find(links, link => link?.IsSending == true);
        Socket.Select(readable, writable, checkError: null, PollMicroseconds);
        if (readable.Count == 0 && writable.Count == 0 && operation.IsOverdue)
            throw operation.Late(awaited!.Peer);
    }
}
