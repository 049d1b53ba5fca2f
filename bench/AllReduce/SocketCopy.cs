using System.Net;
using System.Net.Sockets;

namespace Cluster.Bench.AllReduce;

/// <summary>
/// What a connection carries when nothing is done but to send and receive at once: a blocking thread each way, in large
/// portions. What a sum over TCP cannot beat.
/// </summary>
internal sealed class SocketCopy : IDisposable
{
    private const int PortionBytes = 1 << 20;

    private readonly Socket _socket;
    private readonly Thread _sender;
    private readonly SemaphoreSlim _begin = new(0);
    private readonly SemaphoreSlim _sent = new(0);
    private nint _source;
    private long _sourceBytes;

    private SocketCopy(Socket socket)
    {
        _socket = socket;
        socket.NoDelay = true;
        _sender = new Thread(SendWhatIsGiven) { IsBackground = true, Name = "socket copy" };
        _sender.Start();
    }

    /// <param name="endpointFile">Where rank 0 writes where it listens.</param>
    /// <param name="rank">0 or 1.</param>
    /// <param name="address">This rank's.</param>
    /// <param name="cancellationToken">Ends the wait for the other.</param>
    public static async Task<SocketCopy> ConnectAsync(string endpointFile, int rank, IPAddress address, CancellationToken cancellationToken)
    {
        if (rank == 0)
        {
            using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(address, 0));
            listener.Listen();
            await File.WriteAllTextAsync(endpointFile + ".new", $"{listener.LocalEndPoint}", cancellationToken);
            File.Move(endpointFile + ".new", endpointFile);
            return new SocketCopy(await listener.AcceptAsync(cancellationToken));
        }

        while (!File.Exists(endpointFile))
            await Task.Delay(5, cancellationToken);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(await File.ReadAllTextAsync(endpointFile, cancellationToken)), cancellationToken);
        return new SocketCopy(socket);
    }

    /// <summary>Sends so many bytes and receives as many meanwhile.</summary>
    public unsafe void Run(float* from, float* to, long bytes)
    {
        (_source, _sourceBytes) = ((nint)from, bytes);
        _begin.Release();
        for (long received = 0; received < bytes;)
        {
            var some = _socket.Receive(new Span<byte>((byte*)to + received, (int)Math.Min(PortionBytes, bytes - received)));
            received += some > 0 ? some : throw new InvalidOperationException("the other rank has closed the connection");
        }

        _sent.Wait();
    }

    public void Dispose()
    {
        _sourceBytes = -1;
        _begin.Release();
        _sender.Join();
        _socket.Dispose();
        _begin.Dispose();
        _sent.Dispose();
    }

    private unsafe void SendWhatIsGiven()
    {
        while (true)
        {
            _begin.Wait();
            if (_sourceBytes < 0)
                return;
            for (long done = 0; done < _sourceBytes;)
                done += _socket.Send(new ReadOnlySpan<byte>((byte*)_source + done, (int)Math.Min(PortionBytes, _sourceBytes - done)));
            _sent.Release();
        }
    }
}
