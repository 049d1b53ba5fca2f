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

    /// <summary>Strangers that are kept in mind for who asks why a peer is missing.</summary>
    private const int MostRemembered = 3;

    private readonly Socket _listener;
    private readonly PeerAddress _address;
    private readonly PeerTrust _trust;
    private readonly ConcurrentQueue<string> _turnedAway = new();
    private readonly int _rank;
    private readonly TimeSpan _handshakeTimeout;

    /// <summary>Listens on a free port.</summary>
    /// <exception cref="IOException">None is free, or the address is not this machine's.</exception>
    public PeerListener(PeerAddress address, PeerTrust trust, int rank, TimeSpan handshakeTimeout)
    {
        _address = address;
        _trust = trust;
        _rank = rank;
        _handshakeTimeout = handshakeTimeout;
        _listener = Listen(address);
    }

    /// <summary>What peers of other nodes are told.</summary>
    public string Told => _address.Told(EndPoint.Port, _trust.IsEncrypted);

    /// <summary>The last strangers, and why they were turned away: among them may be the peer that is missing.</summary>
    public IReadOnlyCollection<string> TurnedAway => _turnedAway;

    /// <summary>Where it listens, with the port that was free.</summary>
    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Where a peer of this node, which listens as this one does, is found.</summary>
    public PeerEndpoint OnThisNode(PeerEndpoint peer) =>
        peer with { Address = new IPEndPoint(_address.Local, PeerAddress.Parse(peer.Address).Port).ToString() };

    /// <summary>
    /// Awaits a proven connection of each of <paramref name="expected"/>; the caller owns the wires it finds in <paramref name="found"/>.
    /// </summary>
    /// <param name="expected">Who will connect, and what for.</param>
    /// <param name="found">Filled as they come, also when the wait fails.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task AcceptAsync(
        IReadOnlyDictionary<(int Rank, PeerChannel Channel), PeerEndpoint> expected,
        ConcurrentDictionary<(int Rank, PeerChannel Channel), PeerWire> found,
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
                var socket = await _listener.AcceptAsync(allFound.Token);
                proofs.RemoveAll(t => t.IsCompletedSuccessfully);
                proofs.Add(AdmitAsync(socket));
            }
        }
        catch (OperationCanceledException) when (expected.Keys.All(found.ContainsKey))
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
            var wire = await ProveAsync(socket, expected, found, allFound.Token);
            if (wire is null)
                socket.Dispose();
            places.Release();
            if (expected.Keys.All(found.ContainsKey))
                await allFound.CancelAsync();
        }
    }

    public void Dispose() => _listener.Dispose();

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

    private async Task<PeerWire?> ProveAsync(
        Socket socket, IReadOnlyDictionary<(int Rank, PeerChannel Channel), PeerEndpoint> expected,
        ConcurrentDictionary<(int Rank, PeerChannel Channel), PeerWire> found, CancellationToken cancellationToken)
    {
        var origin = socket.RemoteEndPoint;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_handshakeTimeout);
        var admission = await _trust.AcceptAsync(socket, _rank, expected, limit.Token);
        if (admission.Wire is { } wire)
        {
            if (found.TryAdd(admission.Peer, wire))
                return wire;
            wire.Dispose(); // it is there already
        }
        else if (!cancellationToken.IsCancellationRequested)
        {
            _turnedAway.Enqueue($"{origin}, since {admission.Refusal}");
            if (_turnedAway.Count > MostRemembered)
                _turnedAway.TryDequeue(out _);
        }

        return null;
    }
}
