using System.Buffers.Binary;
using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// The connection to one peer, and what is still to be sent and received on it. Never blocks: it is called again when the socket is
/// ready. Sending and receiving share nothing, so that each may have a thread.
/// </summary>
/// <remarks>
/// A message is a header (what the operation is, sequence number, size of the operation, size of the message; little-endian) and its
/// values. One system call takes a message with its header, and in receiving also the next one's header.
/// </remarks>
internal sealed unsafe class PeerLink : IDisposable
{
    private const int HeaderBytes = 24;

    /// <summary>Most values moved by one call, so that the other direction gets its turn.</summary>
    private const long LargestPortion = 1 << 20;

    private const int WasteBytes = 16 << 10;

    // struct tcp_info of linux/tcp.h, and its states
    private const int TcpInfoBytes = 104, TcpStateAt = 0, TcpClosed = 7, TcpCloseWait = 8;

    private readonly Queue<Transfer> _toSend = new();
    private readonly Queue<Transfer> _toReceive = new();
    private readonly PeerWire _wire;
    private readonly int _descriptor;
    private readonly byte* _headers = (byte*)NativeMemory.AllocZeroed(3 * HeaderBytes); // outgoing, incoming, the next incoming
    private int _abortCulprit;
    private bool _abortStarted;
    private bool _abortSent;
    private int _outgoingSent;
    private int _incomingSeen;
    private int _sendSequence;
    private int _receiveSequence;

    public PeerLink(int peer, PeerWire wire)
    {
        Peer = peer;
        _wire = wire;
        var socket = wire.Socket;
        socket.NoDelay = true;
        socket.Blocking = false;
        KeepAlive(socket);
        _descriptor = (int)socket.Handle;
    }

    public int Peer { get; }

    public bool IsEncrypted => _wire.IsEncrypted;

    /// <summary>Whether nothing more can come, beyond what has come already.</summary>
    public bool IsClosedByPeer
    {
        get
        {
            Span<byte> info = stackalloc byte[TcpInfoBytes];
            ReadTcpInfo(info);
            return info[TcpStateAt] is TcpClosed or TcpCloseWait;
        }
    }

    public bool IsSending => _toSend.Count > 0;

    public bool IsReceiving => _toReceive.Count > 0;

    /// <summary>Messages that have not come yet.</summary>
    public int Awaited => _toReceive.Count;

    public bool IsAborting { get; private set; }

    private byte* Outgoing => _headers;

    private byte* Incoming => _headers + HeaderBytes;

    private byte* NextIncoming => _headers + (2 * HeaderBytes);

    /// <summary>What the socket must become for the exchange to go on.</summary>
    public SocketCalls.Watch Watch(bool sending, bool receiving) =>
        new(_descriptor, (short)((sending ? SocketCalls.Writable : 0) | (receiving ? SocketCalls.Readable : 0)));

    /// <summary>Queues values to go out; they must stay as they are until they have.</summary>
    public void Send(nint address, long bytes) => _toSend.Enqueue(new Transfer(address, bytes, 0));

    /// <summary>Queues a place for values to come in.</summary>
    /// <param name="address">The place.</param>
    /// <param name="bytes">Its size.</param>
    /// <param name="tag">What the observer is told then.</param>
    public void Receive(nint address, long bytes, int tag = 0) => _toReceive.Enqueue(new Transfer(address, bytes, tag));

    /// <summary>Sends as much of the first message as the socket takes now.</summary>
    /// <returns>Whether anything went out.</returns>
    public bool TrySend(in Operation operation)
    {
        if (!_toSend.TryPeek(out var transfer))
            return false;
        if (!transfer.HasStarted)
        {
            WriteHeader(operation.Signature, operation.Bytes, transfer.Remaining);
            _sendSequence++;
            transfer.HasStarted = true;
        }

        var pieces = stackalloc SocketCalls.Piece[2];
        pieces[0] = new SocketCalls.Piece(Outgoing + _outgoingSent, HeaderBytes - _outgoingSent);
        pieces[1] = new SocketCalls.Piece(transfer.Next, Math.Min(transfer.Remaining, LargestPortion));
        var sent = Write(pieces, 2, operation);
        var ofHeader = (int)Math.Min(sent, HeaderBytes - _outgoingSent);
        _outgoingSent += ofHeader;
        transfer.Advance(sent - ofHeader);
        if (_outgoingSent == HeaderBytes && transfer.Remaining == 0)
            _toSend.Dequeue();
        return sent > 0;
    }

    /// <summary>Receives as much of the first message as has come by now.</summary>
    /// <returns>Whether anything came in.</returns>
    public bool TryReceive(in Operation operation, ITransferObserver? observer)
    {
        if (!_toReceive.TryPeek(out var transfer))
            return false;
        Begin(transfer, operation); // its header may have come with the last message
        var received = 0L;
        var ofNextHeader = 0;
        if (!transfer.HasStarted || transfer.Remaining > 0)
        {
            var portion = Math.Min(transfer.Remaining, LargestPortion);
            var pieces = stackalloc SocketCalls.Piece[3];
            pieces[0] = new SocketCalls.Piece(Incoming + _incomingSeen, HeaderBytes - _incomingSeen);
            pieces[1] = new SocketCalls.Piece(transfer.Next, portion);
            pieces[2] = new SocketCalls.Piece(NextIncoming, HeaderBytes);
            received = Read(pieces, portion == transfer.Remaining ? 3 : 2, operation);
            var ofHeader = (int)Math.Min(received, HeaderBytes - _incomingSeen);
            _incomingSeen += ofHeader;
            Begin(transfer, operation);
            var ofValues = Math.Min(received - ofHeader, portion);
            transfer.Advance(ofValues);
            ofNextHeader = (int)(received - ofHeader - ofValues);
        }

        if (!transfer.HasStarted || transfer.Remaining > 0)
            return received > 0;
        _toReceive.Dequeue();
        new ReadOnlySpan<byte>(NextIncoming, HeaderBytes).CopyTo(new Span<byte>(Incoming, HeaderBytes));
        _incomingSeen = ofNextHeader;
        observer?.Received(transfer.Tag);
        return true;
    }

    /// <summary>
    /// Whether the peer's machine, which answers whatever its processes do, has not answered for so long: it is down or cut off. Said by
    /// what was sent, by questions whether there is room again, or by keep-alive where nothing was.
    /// </summary>
    public bool IsUnanswered(TimeSpan longest)
    {
        const int probesAt = 3, unackedAt = 24, lastAckAt = 56;
        Span<byte> info = stackalloc byte[TcpInfoBytes];
        ReadTcpInfo(info);
        var isAsking = BinaryPrimitives.ReadUInt32LittleEndian(info[unackedAt..]) > 0 || info[probesAt] > 1;
        return info[TcpStateAt] == TcpClosed
            || (isAsking && BinaryPrimitives.ReadUInt32LittleEndian(info[lastAckAt..]) > longest.TotalMilliseconds);
    }

    /// <summary>
    /// Gives the exchange up: what has not begun is dropped, and behind what has begun the peer is told whom this rank blames.
    /// </summary>
    public void BeginAbort(int culprit)
    {
        IsAborting = true;
        _abortCulprit = culprit;
        _toReceive.Clear();
        var begun = _toSend.TryPeek(out var transfer) && transfer.HasStarted ? transfer : null;
        _toSend.Clear();
        if (begun is not null)
            _toSend.Enqueue(begun);
    }

    /// <summary>Goes on with the abort, as far as the socket allows now.</summary>
    /// <returns>Whether it is over: the peer has been told and has closed its side, or is gone.</returns>
    public bool TryEndAbort(in Operation operation)
    {
        try
        {
            while (IsSending && TrySend(operation))
            {
            }

            if (!IsSending && !_abortSent)
                SendAbort(operation);

            // What comes in is of no more use, but a connection closed with bytes unread is reset, and the peer might miss the message.
            var waste = stackalloc byte[WasteBytes];
            var piece = new SocketCalls.Piece(waste, WasteBytes);
            while (Read(&piece, 1, operation) > 0)
            {
            }

            return false;
        }
        catch (CollectiveException)
        {
            return true; // closed or broken: what an abort ends with
        }
        catch (SocketException)
        {
            return true; // broken before it could be shut down
        }
    }

    public void Dispose()
    {
        _wire.Dispose();
        NativeMemory.Free(_headers);
    }

    private void ReadTcpInfo(Span<byte> info)
    {
        const int levelTcp = 6, tcpInfo = 11;
        _wire.Socket.GetRawSocketOption(levelTcp, tcpInfo, info);
    }

    /// <summary>A machine that is down or cut off shows within five seconds, also while nothing is sent to it.</summary>
    private static void KeepAlive(Socket socket)
    {
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 2);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 1);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
    }

    private void SendAbort(in Operation operation)
    {
        if (!_abortStarted)
            WriteHeader((int)OperationKind.Abort, _abortCulprit, 0);
        _abortStarted = true;
        var piece = new SocketCalls.Piece(Outgoing + _outgoingSent, HeaderBytes - _outgoingSent);
        _outgoingSent += (int)Write(&piece, 1, operation);
        if (_outgoingSent < HeaderBytes)
            return;
        _abortSent = true;
        _wire.Socket.Shutdown(SocketShutdown.Send);
    }

    private void WriteHeader(int signature, long operationBytes, long messageBytes)
    {
        _outgoingSent = 0;
        var header = new Span<byte>(Outgoing, HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(header, signature);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], _sendSequence);
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], operationBytes);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], messageBytes);
    }

    private void Begin(Transfer transfer, in Operation operation)
    {
        if (transfer.HasStarted || _incomingSeen < HeaderBytes)
            return;
        var header = new ReadOnlySpan<byte>(Incoming, HeaderBytes);
        var signature = BinaryPrimitives.ReadInt32LittleEndian(header);
        var operationBytes = BinaryPrimitives.ReadInt64LittleEndian(header[8..]);
        if (Operation.KindOf(signature) == OperationKind.Abort)
            throw operation.Aborted(Peer, (int)operationBytes);
        var sequence = BinaryPrimitives.ReadInt32LittleEndian(header[4..]);
        var messageBytes = BinaryPrimitives.ReadInt64LittleEndian(header[16..]);
        if (signature != operation.Signature || operationBytes != operation.Bytes || messageBytes != transfer.Remaining
            || sequence != _receiveSequence)
            throw operation.OutOfStep(Peer, signature, operationBytes);
        _receiveSequence++;
        transfer.HasStarted = true;
    }

    private long Write(SocketCalls.Piece* pieces, int count, in Operation operation)
    {
        try
        {
            return _wire.Write(pieces, count);
        }
        catch (Exception e) when (e is Win32Exception or IOException)
        {
            throw operation.Lost(Peer, $"cannot be reached any more ({e.Message})", e);
        }
    }

    private long Read(SocketCalls.Piece* pieces, int count, in Operation operation)
    {
        try
        {
            var received = _wire.Read(pieces, count);
            return received >= 0 ? received : throw operation.Lost(Peer, "closed the connection");
        }
        catch (Exception e) when (e is Win32Exception or IOException)
        {
            throw operation.Lost(Peer, $"broke the connection ({e.Message})", e);
        }
    }
}
