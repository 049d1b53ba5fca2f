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
    private readonly string secret;
    private readonly int rank;
    private readonly TimeSpan handshakeTimeout;

    /// <summary>Listens on a free port of <paramref name="host"/>.</summary>
    public PeerListener(IPAddress host, string secret, int rank, TimeSpan handshakeTimeout)
    {
        this.secret = secret;
        this.rank = rank;
        this.handshakeTimeout = handshakeTimeout;
        listener = new Socket(host.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(host, 0));
            listener.Listen();
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Where it listens, with the port that the system chose.</summary>
    public IPEndPoint EndPoint => (IPEndPoint)listener.LocalEndPoint!;

    /// <summary>Awaits a proven connection of each of <paramref name="expected"/>; the caller owns the sockets it finds in <paramref name="found"/>.</summary>
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
