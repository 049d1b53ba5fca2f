using System.Net;
using System.Net.Sockets;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>
/// A relay in front of a rank's port that passes everything on until it is told after how many more bytes to stop, for good.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly IPEndPoint target;
    private readonly bool hangUp;
    private readonly Lock gate = new();
    private readonly List<Socket> sockets = [];
    private long remaining = long.MaxValue;

    /// <param name="target">Where to relay to.</param>
    /// <param name="hangUp">Whether to close the connections then, as when a process dies; otherwise they fall silent, as when it is
    /// stopped.</param>
    public Interruption(IPEndPoint target, bool hangUp)
    {
        this.target = target;
        this.hangUp = hangUp;
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Start(Accept);
    }

    public IPEndPoint EndPoint => (IPEndPoint)listener.LocalEndPoint!;

    /// <summary>From now on so many bytes pass, both ways and on all connections together.</summary>
    public void After(long bytes)
    {
        lock (gate)
            remaining = bytes;
    }

    public void Dispose()
    {
        listener.Dispose();
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
            var near = listener.Accept();
            var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            far.Connect(target);
            lock (gate)
                sockets.AddRange([near, far]);
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
            lock (gate)
            {
                allowed = (int)Math.Min(received, remaining);
                remaining -= remaining == long.MaxValue ? 0 : allowed;
            }

            for (var sent = 0; sent < allowed;)
                sent += to.Send(portion.AsSpan(sent, allowed - sent));
            if (allowed == received)
                continue;
            if (hangUp)
                Close();
            return;
        }
    }

    private void Close()
    {
        lock (gate)
            sockets.ForEach(socket => socket.Dispose());
    }
}
