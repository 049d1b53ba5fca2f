using System.Diagnostics;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// Messages between two ranks, over connections of their own: any thread may send to one peer while others receive from it.
/// </summary>
/// <param name="links">One a rank; null for this one.</param>
/// <param name="companions">See <see cref="TcpExchange"/>.</param>
/// <param name="members">The group.</param>
internal sealed class TcpMessages(PeerLink?[] links, PeerLink?[] companions, GroupMembers members) : IDisposable
{
    private readonly Lock[] sending = [.. links.Select(_ => new Lock())];
    private readonly Lock[] receiving = [.. links.Select(_ => new Lock())];
    private readonly TcpExchange farewells = new(links, companions, members, spinTime: default);
    private volatile int culpritOfAbort = -1;

    public void Send(nint address, long bytes, int destination, in Operation operation)
    {
        var link = links[destination]!;
        lock (sending[destination])
        {
            link.Send(address, bytes);
            while (link.IsSending)
            {
                if (!link.TrySend(operation))
                    Sleep(link, isSending: true, operation);
            }
        }
    }

    public void Receive(nint address, long bytes, int source, in Operation operation)
    {
        var link = links[source]!;
        lock (receiving[source])
        {
            link.Receive(address, bytes);
            while (link.IsReceiving)
            {
                if (!link.TryReceive(operation, observer: null))
                    Sleep(link, isSending: false, operation);
            }
        }
    }

    /// <summary>Waits until every thread has noticed, then tells the peers.</summary>
    public void Abort(int culprit)
    {
        culpritOfAbort = culprit;
        Array.ForEach(sending, gate => gate.Enter());
        Array.ForEach(receiving, gate => gate.Enter());
        try
        {
            farewells.Abort(culprit);
        }
        finally
        {
            Array.ForEach(sending, gate => gate.Exit());
            Array.ForEach(receiving, gate => gate.Exit());
        }
    }

    public void Dispose()
    {
        foreach (var link in links)
            link?.Dispose();
    }

    private void Sleep(PeerLink link, bool isSending, in Operation operation)
    {
        var began = Stopwatch.GetTimestamp();
        SocketCalls.Wait([link.Watch(isSending, !isSending)], TcpExchange.LookUp);
        if (culpritOfAbort >= 0)
            throw operation.Aborted(members.Me, culpritOfAbort);
        if (Stopwatch.GetElapsedTime(began) < TcpExchange.LookUp)
            return;
        TcpExchange.RequireAnswers(link, companions[link.Peer]!, operation);
        if (operation.IsOverdue)
            throw operation.Late(link.Peer);
    }
}
