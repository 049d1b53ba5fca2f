using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Joins every two ranks by a connection: the higher rank calls the lower.</summary>
internal static class TcpMesh
{
    /// <summary>Calls the lower ranks, awaits the higher, and checks that each knows the secret.</summary>
    /// <returns>One link a rank; null for this one.</returns>
    public static async Task<PeerLink?[]> ConnectAsync(
        PeerListener listener, IReadOnlyList<PeerEndpoint> endpoints, int rank, string secret, CancellationToken cancellationToken)
    {
        var sockets = new ConcurrentDictionary<int, Socket>();
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            var higher = Enumerable.Range(rank + 1, endpoints.Count - rank - 1).ToHashSet();
            var joining = Enumerable.Range(0, rank)
                .Select(peer => CallAsync(endpoints[peer], rank, secret, sockets, failed.Token))
                .Append(listener.AcceptAsync(higher, sockets, failed.Token))
                .ToList();
            await foreach (var joined in Task.WhenEach(joining))
            {
                if (!joined.IsCompletedSuccessfully)
                    await failed.CancelAsync(); // one missing peer is enough: the others need not be waited for
            }

            await Task.WhenAll(joining);
            var links = new PeerLink?[endpoints.Count];
            foreach (var (peer, socket) in sockets)
                links[peer] = new PeerLink(peer, socket);
            return links;
        }
        catch (Exception e)
        {
            var missing = Enumerable.Range(0, endpoints.Count).Where(peer => peer != rank && !sockets.ContainsKey(peer)).ToList();
            foreach (var socket in sockets.Values)
                socket.Dispose();
            if (e is OperationCanceledException && missing.Count > 0)
            {
                throw new OperationCanceledException(
                    $"no connection with rank {string.Join(", rank ", missing)}", e, cancellationToken);
            }

            throw;
        }
    }

    private static async Task CallAsync(
        PeerEndpoint peer, int rank, string secret, ConcurrentDictionary<int, Socket> sockets, CancellationToken cancellationToken)
    {
        var endPoint = IPEndPoint.Parse(peer.Address);
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken);
            if (!await PeerProof.ConnectAsync(socket, secret, rank, peer.Rank, cancellationToken))
                throw NotConnected(peer, "refused this rank's proof of the attempt's secret, or could not give its own", null);
            sockets[peer.Rank] = socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw NotConnected(peer, $"cannot be reached ({e.SocketErrorCode})", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static CollectiveException NotConnected(PeerEndpoint peer, string what, Exception? cause) =>
        new(CollectiveFault.NotConnected, peer.Rank, $"rank {peer.Rank} at {peer.Address} {what}", cause);
}
