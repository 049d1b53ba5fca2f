using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// The port on which this rank awaits its peers of higher rank. Strangers, however they behave, are turned away and cost a
/// bounded amount of time and memory each; a proven peer is what ends the wait for it.
/// </summary>
internal sealed class PeerListener : IDisposable
{
    /// <summary>Connections that may be proving themselves at once; further ones wait in the kernel's queue.</summary>
    private const int MostAtOnce = 64;

    private readonly Socket listener;
    private readonly PeerAddress address;
    private readonly string secret;
    private readonly int rank;
    private readonly TimeSpan handshakeTimeout;

    /// <summary>Listens on a free port.</summary>
    /// <exception cref="IOException">None is free, or the address is not this machine's.</exception>
    public PeerListener(PeerAddress address, string secret, int rank, TimeSpan handshakeTimeout)
    {
        this.address = address;
        this.secret = secret;
        this.rank = rank;
        this.handshakeTimeout = handshakeTimeout;
        listener = Listen(address);
    }

    /// <summary>What peers of other nodes are told.</summary>
    public string Told => address.Told(EndPoint.Port);

    /// <summary>Where it listens, with the port that was free.</summary>
    public IPEndPoint EndPoint => (IPEndPoint)listener.LocalEndPoint!;

    /// <summary>Where a peer of this node, which listens as this one does, is found.</summary>
    public PeerEndpoint OnThisNode(PeerEndpoint peer) =>
        peer with { Address = new IPEndPoint(address.Local, PeerAddress.Parse(peer.Address).Port).ToString() };

    /// <summary>
    /// Awaits a proven connection of each of <paramref name="expected"/>; the caller owns the sockets it finds in <paramref name="found"/>.
    /// </summary>
    /// <param name="expected">Who will connect, and what for.</param>
    /// <param name="found">Filled as they come, also when the wait fails.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task AcceptAsync(
        IReadOnlyCollection<(int Rank, PeerChannel Channel)> expected,
        ConcurrentDictionary<(int Rank, PeerChannel Channel), Socket> found,
        CancellationToken cancellationToken)
    {
        if (expected.Count == 0)
            return;
        using var allFound = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var places = new SemaphoreSlim(MostAtOnce);
        var proofs = new List<Task>();
        try
        {
            while (true)
            {
                await places.WaitAsync(allFound.Token);
                var socket = await listener.AcceptAsync(allFound.Token);
                proofs.RemoveAll(t => t.IsCompletedSuccessfully);
                proofs.Add(AdmitAsync(socket));
            }
        }
        catch (OperationCanceledException) when (expected.All(found.ContainsKey))
        {
            // Not a failure: the last of them cancelled the wait for more.
        }
        finally
        {
            await allFound.CancelAsync();
            await Task.WhenAll(proofs);
        }

        async Task AdmitAsync(Socket socket)
        {
            var peer = await ProveAsync(socket, allFound.Token);
            if (peer is not { } proven || !expected.Contains(proven) || !found.TryAdd(proven, socket))
                socket.Dispose();
            places.Release();
            if (expected.All(found.ContainsKey))
                await allFound.CancelAsync();
        }
    }

    public void Dispose() => listener.Dispose();

    private static Socket Listen(PeerAddress address)
    {
        for (var port = address.Ports.First; ; port++)
        {
            var socket = new Socket(address.Listen.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                if (address.Listen.Equals(IPAddress.IPv6Any))
                    socket.DualMode = true;
                socket.Bind(new IPEndPoint(address.Listen, port));
                // Two sockets may be bound to one port; it is the second to listen that is told.
                socket.Listen();
                return socket;
            }
            catch (SocketException e)
            {
                socket.Dispose();
                if (e.SocketErrorCode == SocketError.AddressAlreadyInUse && port < address.Ports.Last)
                    continue;
                throw new IOException(WhyNot(address, e), e);
            }
        }
    }

    private static string WhyNot(PeerAddress address, SocketException e) => e.SocketErrorCode == SocketError.AddressAlreadyInUse
        ? $"Agent:TrainerPorts is {address.Ports.First}-{address.Ports.Last}, of which none is free on {address.Listen}; "
            + "give one for each device at least"
        : $"cannot listen on {address.Listen}, the address of Agent:ListenAddress ({e.Message}); "
            + "give one that this machine has, and tell others another in Agent:AdvertiseHost";

    private async Task<(int Rank, PeerChannel Channel)?> ProveAsync(Socket socket, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(handshakeTimeout);
        try
        {
            return await PeerProof.AcceptAsync(socket, secret, rank, limit.Token);
        }
        catch (SocketException)
        {
            return null; // it hung up: a stranger's right
        }
        catch (OperationCanceledException)
        {
            return null; // too slow, or no longer needed
        }
    }
}
