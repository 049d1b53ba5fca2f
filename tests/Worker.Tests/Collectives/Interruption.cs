using System.Net;
using System.Net.Sockets;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>
/// A relay in front of a rank's port that passes everything on until it is told after how many more bytes to stop, for good.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly IPEndPoint _target;
    private readonly bool _hangUp;
    private readonly Lock _gate = new();
    private readonly List<Socket> _sockets = [];
    private long _remaining = long.MaxValue;
    private long _passed;

    /// <param name="target">Where to relay to.</param>
    /// <param name="hangUp">Whether to close the connections then, as when a process dies; otherwise they fall silent, as when it is
    /// stopped.</param>
    public Interruption(IPEndPoint target, bool hangUp)
    {
        _target = target;
        _hangUp = hangUp;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        Start(Accept);
    }

    /// <summary>Bytes that have passed so far, both ways and on all connections together.</summary>
    public long Passed
    {
        get
        {
            lock (_gate)
                return _passed;
        }
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>From now on so many bytes pass, both ways and on all connections together.</summary>
    public void After(long bytes)
    {
        lock (_gate)
            _remaining = bytes;
    }

    public void Dispose()
    {
        _listener.Dispose();
        Close();
    }

    private static void Start(Action body) => new Thread(() =>
    {
        try
        {
            body();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The end of a connection, from either side.
        }
    })
    { IsBackground = true, Name = "interruption" }.Start();

    private void Accept()
    {
        while (true)
        {
            var near = _listener.Accept();
            var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            far.Connect(_target);
            lock (_gate)
                _sockets.AddRange([near, far]);
            Start(() => Relay(near, far));
            Start(() => Relay(far, near));
        }
    }

    private void Relay(Socket from, Socket to)
    {
        var portion = new byte[64 << 10];
        while (true)
        {
            var received = from.Receive(portion);
            if (received == 0)
            {
                to.Shutdown(SocketShutdown.Send);
                return;
            }

            int allowed;
            lock (_gate)
            {
                allowed = (int)Math.Min(received, _remaining);
                _remaining -= _remaining == long.MaxValue ? 0 : allowed;
                _passed += allowed;
            }

            for (var sent = 0; sent < allowed;)
                sent += to.Send(portion.AsSpan(sent, allowed - sent));
            if (allowed == received)
                continue;
            if (_hangUp)
                Close();
            return;
        }
    }

    private void Close()
    {
        lock (_gate)
            _sockets.ForEach(socket => socket.Dispose());
    }
}
