using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Cluster.Bench.AllReduce;

/// <summary>
/// What a connection over loopback carries when nothing is done but to send and receive at once: a blocking thread each way, in large
/// portions. What a sum over TCP cannot beat.
/// </summary>
internal sealed class SocketCopy : IDisposable
{
    private const int PortionBytes = 1 << 20;

    private readonly Socket socket;
    private readonly Thread sender;
    private readonly SemaphoreSlim begin = new(0);
    private readonly SemaphoreSlim sent = new(0);
    private nint source;
    private long sourceBytes;

    private SocketCopy(Socket socket)
    {
        this.socket = socket;
        socket.NoDelay = true;
        sender = new Thread(SendWhatIsGiven) { IsBackground = true, Name = "socket copy" };
        sender.Start();
    }

    /// <param name="portFile">Where rank 0 writes on which port it listens.</param>
    /// <param name="rank">0 or 1.</param>
    /// <param name="cancellationToken">Ends the wait for the other.</param>
    public static async Task<SocketCopy> ConnectAsync(string portFile, int rank, CancellationToken cancellationToken)
    {
        if (rank == 0)
        {
            using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            await File.WriteAllTextAsync(portFile + ".new", $"{((IPEndPoint)listener.LocalEndPoint!).Port}", cancellationToken);
            File.Move(portFile + ".new", portFile);
            return new SocketCopy(await listener.AcceptAsync(cancellationToken));
        }

        while (!File.Exists(portFile))
            await Task.Delay(5, cancellationToken);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, int.Parse(await File.ReadAllTextAsync(portFile, cancellationToken), CultureInfo.InvariantCulture), cancellationToken);
        return new SocketCopy(socket);
    }

    /// <summary>Sends so many bytes and receives as many meanwhile.</summary>
    public unsafe void Run(float* from, float* to, long bytes)
    {
        (source, sourceBytes) = ((nint)from, bytes);
        begin.Release();
        for (long received = 0; received < bytes;)
        {
            var some = socket.Receive(new Span<byte>((byte*)to + received, (int)Math.Min(PortionBytes, bytes - received)));
            received += some > 0 ? some : throw new InvalidOperationException("the other rank has closed the connection");
        }

        sent.Wait();
    }

    public void Dispose()
    {
        sourceBytes = -1;
        begin.Release();
        sender.Join();
        socket.Dispose();
        begin.Dispose();
        sent.Dispose();
    }

    private unsafe void SendWhatIsGiven()
    {
        while (true)
        {
            begin.Wait();
            if (sourceBytes < 0)
                return;
            for (long done = 0; done < sourceBytes;)
                done += socket.Send(new ReadOnlySpan<byte>((byte*)source + done, (int)Math.Min(PortionBytes, sourceBytes - done)));
            sent.Release();
        }
    }
}
