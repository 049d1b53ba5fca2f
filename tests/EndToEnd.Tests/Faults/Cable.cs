using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>
/// A way to a server that can be cut, as a switch that fails would: what is under way waits, who comes anew hears nothing, and no end of it
/// is told that the other has gone. Mended, it passes on what has waited.
/// </summary>
internal sealed class Cable : IAsyncDisposable
{
    private const int Backlog = 128;

    private readonly Socket _listener;
    private readonly EndPoint _listen;
    private readonly EndPoint _server;
    private readonly Func<int, bool> _mayBeCut;
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentBag<Task> _running = [];
    private readonly ConcurrentBag<Socket> _unanswered = [];
    private volatile TaskCompletionSource _whole = Whole();

    /// <param name="listen">Where clients come to: loopback, or a Unix socket.</param>
    /// <param name="server">Where they are taken.</param>
    /// <param name="mayBeCut">Of whose connections, by the client's port; of all unless given.</param>
    public Cable(EndPoint listen, EndPoint server, Func<int, bool>? mayBeCut = null)
    {
        (_listen, _server, _mayBeCut) = (listen, server, mayBeCut ?? (_ => true));
        _listener = Open(listen);
        _listener.Bind(listen);
        _listener.Listen(Backlog);
        OnlySome = mayBeCut is not null;
        _running.Add(AcceptAsync());
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    private bool OnlySome { get; }

    public async Task CutAsync(CancellationToken cancellationToken)
    {
        _whole = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (OnlySome || _listen is not IPEndPoint)
            return;
        // The kernel would accept for a program that does not. With a full queue it answers nobody, as if nobody were there.
        _listener.Listen(0);
        var full = false;
        while (!full)
        {
            var client = Open(_listen);
            _unanswered.Add(client);
            var connecting = client.ConnectAsync(_listener.LocalEndPoint!, cancellationToken).AsTask();
            full = await Task.WhenAny(connecting, Task.Delay(TimeSpan.FromMilliseconds(500), cancellationToken)) != connecting;
        }
    }

    public void Mend()
    {
        _listener.Listen(Backlog);
        while (_unanswered.TryTake(out var client))
            client.Dispose();
        _whole.TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await Task.WhenAll(_running);
        _end.Dispose();
    }

    private static TaskCompletionSource Whole()
    {
        var whole = new TaskCompletionSource();
        whole.SetResult();
        return whole;
    }

    private static Socket Open(EndPoint endPoint) => endPoint is IPEndPoint
        ? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }
        : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                if (!OnlySome)
                    await _whole.Task.WaitAsync(_end.Token);
                _running.Add(ConnectAsync(await _listener.AcceptAsync(_end.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ConnectAsync(Socket client)
    {
        using var server = Open(_server);
        using (client)
        {
            try
            {
                var mayBeCut = client.RemoteEndPoint is not IPEndPoint from || _mayBeCut(from.Port);
                await WholeAsync(mayBeCut);
                await server.ConnectAsync(_server, _end.Token);
                var (up, down) = (PassAsync(client, server, mayBeCut), PassAsync(server, client, mayBeCut));
                await await Task.WhenAny(up, down);
                await Task.WhenAll(up, down);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // One side has gone, or the test is over: both sockets are closed.
            }
        }
    }

    private async Task PassAsync(Socket from, Socket to, bool mayBeCut)
    {
        var buffer = new byte[64 << 10];
        while (true)
        {
            var read = await from.ReceiveAsync(buffer, _end.Token);
            await WholeAsync(mayBeCut);
            if (read == 0)
            {
                to.Shutdown(SocketShutdown.Send);
                return;
            }

            await to.SendAsync(buffer.AsMemory(0, read), _end.Token);
        }
    }

    private Task WholeAsync(bool mayBeCut) => mayBeCut ? _whole.Task.WaitAsync(_end.Token) : Task.CompletedTask;
}
