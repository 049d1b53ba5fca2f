using System.Diagnostics;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// Moves all that the links have queued, in both directions at once and on the calling thread, so that two ranks that
/// send to each other never wait for each other.
/// </summary>
/// <param name="links">One a rank; null for this one.</param>
/// <param name="companions">Other connections to the same ranks, which tell of a cut network where these happen to be silent.</param>
/// <param name="members">The group.</param>
/// <param name="spinTime">Time without progress before the thread sleeps in the kernel.</param>
internal sealed class TcpExchange(PeerLink?[] links, PeerLink?[] companions, GroupMembers members, TimeSpan spinTime)
{
    /// <summary>Longest sleep before the deadline is looked at again.</summary>
    public static readonly TimeSpan LookUp = TimeSpan.FromMilliseconds(100);

    /// <summary>Longest silence of a peer's machine, which answers whatever its processes do.</summary>
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(4);

    /// <summary>
    /// Longest wait for peers to take notice that this rank gives up. They are in the same exchange, so it is usually over at once.
    /// </summary>
    private static readonly TimeSpan FarewellTime = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan FarewellLookUp = TimeSpan.FromMilliseconds(10);

    private readonly Lock gate = new();
    private readonly SocketCalls.Watch[] watches = new SocketCalls.Watch[links.Length];
    private volatile int culpritOfAbort = -1;

    /// <summary>
    /// Returns when all is moved. A fault is told to the other peers before it is thrown, while the values still lie where they were
    /// queued.
    /// </summary>
    public void Run(in Operation operation, ITransferObserver? observer = null)
    {
        lock (gate)
        {
            try
            {
                MoveAll(operation, observer);
            }
            catch (CollectiveException e)
            {
                // Only those in the midst of it: the others are told by Abort, when the ranks of this node know already.
                SayFarewell(e.Member, [.. links.OfType<PeerLink>().Where(link => link.IsSending || link.IsReceiving)]);
                throw;
            }
        }
    }

    /// <summary>
    /// Ends an exchange that another thread is at, and tells every peer that has not been told that this rank gives up, and because of
    /// whom.
    /// </summary>
    public void Abort(int culprit)
    {
        culpritOfAbort = culprit;
        lock (gate)
            SayFarewell(culprit, [.. links.OfType<PeerLink>()]);
    }

    public static void RequireAnswers(PeerLink link, PeerLink companion, in Operation operation)
    {
        if (link.IsUnanswered(LongestSilence) || companion.IsUnanswered(LongestSilence))
            throw operation.Lost(link.Peer, "no longer answers: its machine is down or cut off");
    }

    /// <summary>Throws if a peer's machine no longer answers, or the peer has closed its connection. Reads nothing.</summary>
    public void RequirePeers(in Operation operation)
    {
        foreach (var link in links)
        {
            if (link is null)
                continue;
            RequireAnswers(link, companions[link.Peer]!, operation);
            if (link.IsClosedByPeer)
                throw operation.Lost(link.Peer, "closed its connection");
        }
    }

    private void SayFarewell(int culprit, IEnumerable<PeerLink> peers)
    {
        var operation = new Operation(OperationKind.Abort, "farewell", 0, members, FarewellTime);
        var remaining = peers.Where(link => link.Peer != culprit && !link.HasBegunFarewell).ToList();
        remaining.ForEach(link => link.BeginFarewell(culprit));
        while (remaining.Count > 0 && !operation.IsOverdue)
        {
            remaining.RemoveAll(link => link.TryFarewell(operation));
            if (remaining.Count > 0)
                SocketCalls.Wait([.. remaining.Select(link => link.Watch(sending: false, receiving: true))], FarewellLookUp);
        }
    }

    private void MoveAll(in Operation operation, ITransferObserver? observer)
    {
        for (long idleSince = 0; ;)
        {
            var busy = false;
            var moved = false;
            foreach (var link in links)
            {
                if (link is null)
                    continue;
                moved |= link.TrySend(operation);
                moved |= link.TryReceive(operation, observer);
                busy |= link.IsSending || link.IsReceiving;
            }

            if (!busy)
                return;
            if (moved)
                idleSince = 0;
            else if (idleSince == 0)
                idleSince = Stopwatch.GetTimestamp();
            else if (Stopwatch.GetElapsedTime(idleSince) > spinTime)
                Sleep(operation);
        }
    }

    private void Sleep(in Operation operation)
    {
        var count = 0;
        foreach (var link in links)
        {
            if (link is not null && (link.IsSending || link.IsReceiving))
                watches[count++] = link.Watch(link.IsSending, link.IsReceiving);
        }

        var began = Stopwatch.GetTimestamp();
        SocketCalls.Wait(watches.AsSpan(0, count), LookUp);
        if (Stopwatch.GetElapsedTime(began) < LookUp)
            return;
        if (culpritOfAbort >= 0)
            throw operation.Aborted(members.Me, culpritOfAbort);
        foreach (var link in links)
        {
            if (link is not null)
                RequireAnswers(link, companions[link.Peer]!, operation);
        }

        if (operation.IsOverdue)
            throw operation.Late(MostAwaited());
    }

    /// <summary>The one that has given least so far: others may wait for it just as this rank does.</summary>
    private int MostAwaited() =>
        links.OfType<PeerLink>().Where(link => link.IsSending || link.IsReceiving).MaxBy(link => link.Awaited)!.Peer;
}
