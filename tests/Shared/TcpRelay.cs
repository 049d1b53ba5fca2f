using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Cluster.Tests.Shared;

/// <summary>
/// What stands between a client and a server: a load balancer, a tunnel, a router that maps a port. It can fall silent without closing
/// anything.
/// </summary>
internal sealed class TcpRelay : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentBag<Task> _running = [];
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Line _line = new();

    private TcpRelay(IPEndPoint listen, int target)
    {
        _listener = new TcpListener(listen);
        _listener.Start();
        Target = target;
        _running.Add(AcceptAsync());
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public Uri Address => new($"http://127.0.0.1:{Port}");

    /// <summary>The server's port on loopback; another one counts for connections that are made from then on.</summary>
    public int Target { get; set; }

    /// <summary>Sees what passes, and may change it, as who owns the network can.</summary>
    public Action<Memory<byte>> Passing { get; set; } = _ => { };

    /// <summary>How many connections have been accepted.</summary>
    public int Connections { get; private set; }

    /// <summary>Ends when the first connection has been accepted.</summary>
    public Task ConnectedAsync(CancellationToken cancellationToken) => _connected.Task.WaitAsync(cancellationToken);

    /// <param name="target">The server's port on loopback.</param>
    /// <param name="listen">Where clients come to; a free port of loopback by default.</param>
    public static TcpRelay To(int target, IPEndPoint? listen = null) => new(listen ?? new IPEndPoint(IPAddress.Loopback, 0), target);

    /// <summary>
    /// From now on nothing is passed on, over the connections that there are and those that still come, not even that one is closed.
    /// </summary>
    public void FallSilent() => (_line.UpIsSilent, _line.DownIsSilent) = (true, true);

    /// <summary>From now on nothing is passed on from the clients; what the server says still arrives.</summary>
    public void FallSilentOneWay() => _line.UpIsSilent = true;

    /// <summary>Resets all connections, as the kernel does for a process that was killed.</summary>
    public void CutOff()
    {
        foreach (var socket in _sockets)
            socket.Close(timeout: 0);
    }

    /// <summary>Connections that are made from now on are passed on; the silent ones stay as they are.</summary>
    public void Recover() => _line = new Line();

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await Task.WhenAll(_running);
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_end.Token);
                Connections++;
                _running.Add(RelayAsync(client, _line));
                _connected.TrySetResult();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task RelayAsync(Socket client, Line line)
    {
        using var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
        using (client)
        {
            _sockets.Add(client);
            _sockets.Add(server);
            try
            {
                await server.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Target), _end.Token);
                var (up, down) = (PassAsync(client, server, () => line.UpIsSilent), PassAsync(server, client, () => line.DownIsSilent));
                await await Task.WhenAny(up, down);
                await Task.WhenAll(up, down);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // One side has gone, or the test is over: both sockets are closed.
            }
        }
    }

    private async Task PassAsync(Socket from, Socket to, Func<bool> isSilent)
    {
        var buffer = new byte[64 << 10];
        while (true)
        {
            var read = 0;
            try
            {
                read = await from.ReceiveAsync(buffer, _end.Token);
            }
            catch (SocketException) when (isSilent())
            {
                // Reset, which nobody is told.
            }

            if (isSilent())
                await Task.Delay(Timeout.Infinite, _end.Token);
            if (read == 0)
            {
                to.Shutdown(SocketShutdown.Send);
                return;
            }

            Passing(buffer.AsMemory(0, read));
            await to.SendAsync(buffer.AsMemory(0, read), _end.Token);
        }
    }

    private sealed class Line
    {
        public volatile bool UpIsSilent;
        public volatile bool DownIsSilent;
    }
}
