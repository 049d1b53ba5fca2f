using System.Net.Sockets;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>How the bytes of one connection travel. Never waits; one thread may write while another reads.</summary>
internal abstract unsafe class PeerWire(Socket socket) : IDisposable
{
    public Socket Socket { get; } = socket;

    /// <summary>Whether who owns the network between can neither read nor change them.</summary>
    public abstract bool IsEncrypted { get; }

    /// <param name="pieces">The bytes; after a call that has taken none, the next begins with the same.</param>
    /// <param name="count">Of the pieces.</param>
    /// <returns>Bytes that went out; 0 when the connection takes none now.</returns>
    /// <exception cref="System.ComponentModel.Win32Exception">The connection is broken.</exception>
    /// <exception cref="IOException">So it is, or somebody has tampered with it.</exception>
    public abstract long Write(SocketCalls.Piece* pieces, int count);

    /// <inheritdoc cref="Write"/>
    /// <returns>Bytes that came in; 0 when there are none now, -1 when the peer has closed the connection.</returns>
    public abstract long Read(SocketCalls.Piece* pieces, int count);

    public virtual void Dispose() => Socket.Dispose();
}

/// <summary>As they are.</summary>
internal sealed unsafe class PlainWire : PeerWire
{
    private readonly int _descriptor;

    public PlainWire(Socket socket)
        : base(socket) => _descriptor = (int)socket.Handle;

    public override bool IsEncrypted => false;

    public override long Write(SocketCalls.Piece* pieces, int count) => SocketCalls.Write(_descriptor, pieces, count);

    public override long Read(SocketCalls.Piece* pieces, int count) => SocketCalls.Read(_descriptor, pieces, count);
}
