using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>Joins every two ranks by a connection: the higher rank calls the lower.</summary>
internal static class TcpMesh
{
    private static readonly PeerChannel[] Channels = Enum.GetValues<PeerChannel>();

    /// <summary>Calls the lower ranks, awaits the higher, and checks that each is to be trusted.</summary>
    /// <returns>For each channel one link a rank; null for this one.</returns>
    public static async Task<IReadOnlyDictionary<PeerChannel, PeerLink?[]>> ConnectAsync(
        PeerListener listener, IReadOnlyList<PeerEndpoint> endpoints, int rank, PeerTrust trust, CancellationToken cancellationToken)
    {
        RequireOneKind(endpoints, endpoints[rank]);
        var wires = new ConcurrentDictionary<(int Rank, PeerChannel Channel), PeerWire>();
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            var lower = Enumerable.Range(0, rank).SelectMany(peer => Channels, (peer, channel) => (peer, channel));
            var higher = Enumerable.Range(rank + 1, endpoints.Count - rank - 1)
                .SelectMany(peer => Channels, (peer, channel) => (peer, channel))
                .ToDictionary(call => call, call => endpoints[call.peer]);
            var joining = lower
                .Select(call => CallAsync(endpoints[call.peer], call.channel))
                .Append(listener.AcceptAsync(higher, wires, failed.Token))
                .ToList();
            await foreach (var joined in Task.WhenEach(joining))
            {
                if (!joined.IsCompletedSuccessfully)
                    await failed.CancelAsync(); // one missing peer is enough: the others need not be waited for
            }

            await Task.WhenAll(joining);
            return Channels.ToDictionary(channel => channel, channel => Links(channel));
        }
        catch (Exception e)
        {
            var missing = Enumerable.Range(0, endpoints.Count)
                .Where(peer => peer != rank && !Array.TrueForAll(Channels, channel => wires.ContainsKey((peer, channel)))).ToList();
            foreach (var wire in wires.Values)
                wire.Dispose();
            if (e is OperationCanceledException && missing.Count > 0)
            {
                throw new OperationCanceledException(
                    $"no connection with {string.Join(", ", missing.Select(Describe))}{TurnedAway()}", e, cancellationToken);
            }

            throw;
        }

        async Task CallAsync(PeerEndpoint peer, PeerChannel channel)
        {
            var reached = Reached(peer);
            try
            {
                var socket = await ConnectAsync(reached, failed.Token);
                wires[(peer.Rank, channel)] = await trust.ConnectAsync(socket, rank, peer, channel, failed.Token);
            }
            catch (SocketException e)
            {
                throw NotConnected(
                    reached, $"cannot be reached ({e.SocketErrorCode}); that node tells the address, in Agent:AdvertiseHost", e);
            }
            catch (IOException e)
            {
                throw NotConnected(reached, $"broke the connection off ({e.Message})", e);
            }
            catch (AuthenticationException e)
            {
                throw NotConnected(reached, e.Message, e);
            }
        }

        PeerEndpoint Reached(PeerEndpoint peer) => SharesTheNode(peer) ? listener.OnThisNode(peer) : peer;

        bool SharesTheNode(PeerEndpoint peer) => peer.NodeId == endpoints[rank].NodeId;

        string Describe(int missing)
        {
            var peer = endpoints[missing];
            return missing < rank
                ? $"{Place(Reached(peer))}, which did not answer"
                : $"rank {missing} of node {peer.NodeName}, which was to call {(SharesTheNode(peer) ? listener.EndPoint : listener.Told)}";
        }

        string TurnedAway() => listener.TurnedAway.Count == 0 ? "" : $"; turned away was {string.Join(", ", listener.TurnedAway)}";

        PeerLink?[] Links(PeerChannel channel) =>
            [.. Enumerable.Range(0, endpoints.Count).Select(peer => peer == rank ? null : new PeerLink(peer, wires[(peer, channel)]))];
    }

    /// <summary>At once, since one that waits for TLS and one that waits for a greeting would wait for each other.</summary>
    private static void RequireOneKind(IReadOnlyList<PeerEndpoint> endpoints, PeerEndpoint mine)
    {
        if (endpoints.FirstOrDefault(peer => PeerAddress.IsEncrypted(peer.Address) != PeerAddress.IsEncrypted(mine.Address)) is { } other)
        {
            var (encrypted, plain) = PeerAddress.IsEncrypted(mine.Address) ? (mine, other) : (other, mine);
            throw new CollectiveException(
                CollectiveFault.NotConnected, other.Rank,
                $"rank {encrypted.Rank} of node {encrypted.NodeName} speaks TLS with its peers and rank {plain.Rank} of node "
                    + $"{plain.NodeName} plain text; set Agent:TrainerTls alike on both nodes");
        }
    }

    /// <summary>What a name means here may be more than one address, and not all of them lead there.</summary>
    private static async Task<Socket> ConnectAsync(PeerEndpoint peer, CancellationToken cancellationToken)
    {
        var (host, port) = PeerAddress.Parse(peer.Address);
        var addresses = IPAddress.TryParse(host, out var address) ? [address] : await Dns.GetHostAddressesAsync(host, cancellationToken);
        for (var i = 0; ; i++)
        {
            var socket = new Socket(addresses[i].AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await ConnectAsync(socket, new IPEndPoint(addresses[i], port), cancellationToken);
                return socket;
            }
            catch (SocketException) when (i + 1 < addresses.Length)
            {
                socket.Dispose();
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    /// <summary>Not by the socket's own asynchronous call, for the reason that <see cref="PeerProof"/> gives.</summary>
    private static async Task ConnectAsync(Socket socket, IPEndPoint endPoint, CancellationToken cancellationToken)
    {
        try
        {
            using (cancellationToken.Register(socket.Dispose))
                await Task.Run(() => socket.Connect(endPoint), CancellationToken.None);
            // One that was connected when the call was cancelled is gone all the same.
            cancellationToken.ThrowIfCancellationRequested();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException($"no connection with {endPoint}", e, cancellationToken);
        }
    }

    private static CollectiveException NotConnected(PeerEndpoint peer, string what, Exception? cause) =>
        new(CollectiveFault.NotConnected, peer.Rank, $"{Place(peer)} {what}", cause);

    private static string Place(PeerEndpoint peer) => $"rank {peer.Rank} at {peer.Address} of node {peer.NodeName}";
}
