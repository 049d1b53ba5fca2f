using System.Buffers.Binary;
using System.Net.Sockets;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// The connection to one peer, and what is still to be sent and received on it in the current exchange. Never blocks:
/// <see cref="TcpExchange"/> calls it again when the socket is ready.
/// </summary>
/// <remarks>A message is a header of 24 bytes (kind, sequence number, size of the operation, size of the message) and its values.</remarks>
internal sealed unsafe class PeerLink : IDisposable
{
    private const int HeaderBytes = 24;

    /// <summary>Messages up to this size leave with their header in one packet.</summary>
    private const int JoinedBytes = 16 << 10;

    private readonly Queue<Transfer> toSend = new();
    private readonly Queue<Transfer> toReceive = new();
    private readonly byte[] outgoing = new byte[HeaderBytes + JoinedBytes];
    private readonly byte[] incoming = new byte[64 << 10];
    private byte[] farewell = [];
    private int outgoingSent;
    private int outgoingEnd;
    private int incomingRead;
    private int incomingEnd;
    private bool headerSeen;
    private int sendSequence;
    private int receiveSequence;

    public PeerLink(int peer, Socket socket)
    {
        Peer = peer;
        Socket = socket;
        socket.NoDelay = true;
        socket.Blocking = false;
    }

    public int Peer { get; }

    public Socket Socket { get; }

    public bool IsSending => outgoingSent < outgoingEnd || toSend.Count > 0;

    public bool HasBegunFarewell { get; private set; }

    public bool IsReceiving => toReceive.Count > 0;

    /// <summary>Queues values to go out; they must stay as they are until the exchange ends.</summary>
    public void Send(nint address, int bytes) => toSend.Enqueue(new Transfer((byte*)address, bytes));

    /// <summary>Queues a place for values to come in.</summary>
    public void Receive(nint address, int bytes) => toReceive.Enqueue(new Transfer((byte*)address, bytes));

    /// <summary>Sends as much as the socket takes now.</summary>
    /// <returns>Whether anything went out.</returns>
    public bool TrySend(in Operation operation)
    {
        var moved = false;
        while (true)
        {
            if (outgoingSent < outgoingEnd)
            {
                var sent = SendSome(outgoing.AsSpan(outgoingSent..outgoingEnd), operation);
                if (sent == 0)
                    return moved;
                outgoingSent += sent;
                moved = true;
                continue;
            }

            if (!toSend.TryPeek(out var transfer))
                return moved;
            if (!transfer.HeaderSent)
            {
                PrepareHeader(transfer, operation);
                continue;
            }

            if (transfer.Remaining > 0)
            {
                var sent = SendSome(new ReadOnlySpan<byte>(transfer.Next, transfer.Remaining), operation);
                if (sent == 0)
                    return moved;
                transfer.Advance(sent);
                moved = true;
            }

            if (transfer.Remaining == 0)
                toSend.Dequeue();
        }
    }

    /// <summary>Receives as much as has come by now.</summary>
    /// <returns>Whether anything came in.</returns>
    public bool TryReceive(in Operation operation)
    {
        var moved = false;
        while (toReceive.TryPeek(out var transfer))
        {
            if (!headerSeen)
            {
                if (incomingEnd - incomingRead < HeaderBytes)
                {
                    if (!FillIncoming(operation))
                        return moved;
                    moved = true;
                    continue;
                }

                CheckHeader(incoming.AsSpan(incomingRead, HeaderBytes), transfer.Remaining, operation);
                incomingRead += HeaderBytes;
                headerSeen = true;
            }

            var buffered = Math.Min(incomingEnd - incomingRead, transfer.Remaining);
            incoming.AsSpan(incomingRead, buffered).CopyTo(new Span<byte>(transfer.Next, buffered));
            incomingRead += buffered;
            transfer.Advance(buffered);
            if (transfer.Remaining >= incoming.Length)
            {
                var received = ReceiveSome(new Span<byte>(transfer.Next, transfer.Remaining), operation);
                if (received == 0)
                    return moved;
                transfer.Advance(received);
                moved = true;
            }
            else if (transfer.Remaining > 0)
            {
                if (!FillIncoming(operation))
                    return moved;
                moved = true;
            }

            if (transfer.Remaining == 0)
            {
                toReceive.Dequeue();
                headerSeen = false;
            }
        }

        return moved;
    }

    /// <summary>Gives the exchange up: what has not begun is dropped, and behind what has begun the peer is told whom this rank blames.</summary>
    public void BeginFarewell(int culprit)
    {
        HasBegunFarewell = true;
        farewell = new byte[HeaderBytes];
        WriteHeader(farewell, OperationKind.Abort, culprit, 0);
        toReceive.Clear();
        var begun = toSend.TryPeek(out var transfer) && transfer.HeaderSent ? transfer : null;
        toSend.Clear();
        if (begun is not null)
            toSend.Enqueue(begun);
    }

    /// <summary>Goes on with the farewell, as far as the socket allows now.</summary>
    /// <returns>Whether it is over: the peer has been told and has closed its side, or is gone.</returns>
    public bool TryFarewell(in Operation operation)
    {
        try
        {
            TrySend(operation);
            if (!IsSending && farewell.Length > 0)
            {
                farewell = farewell[SendSome(farewell, operation)..];
                if (farewell.Length == 0)
                    Socket.Shutdown(SocketShutdown.Send);
            }

            // What comes in is of no more use, but a connection closed with bytes unread is reset, and the peer might miss the message.
            while (ReceiveSome(incoming, operation) > 0)
            {
            }

            return false;
        }
        catch (CollectiveException)
        {
            return true; // closed or broken: what a farewell ends with
        }
        catch (SocketException)
        {
            return true; // broken before it could be shut down
        }
    }

    public void Dispose() => Socket.Dispose();

    private void PrepareHeader(Transfer transfer, in Operation operation)
    {
        WriteHeader(outgoing, operation.Kind, operation.Bytes, transfer.Remaining);
        sendSequence++;
        transfer.HeaderSent = true;
        outgoingSent = 0;
        outgoingEnd = HeaderBytes;
        if (transfer.Remaining <= JoinedBytes)
        {
            new ReadOnlySpan<byte>(transfer.Next, transfer.Remaining).CopyTo(outgoing.AsSpan(HeaderBytes));
            outgoingEnd += transfer.Remaining;
            transfer.Advance(transfer.Remaining);
        }
    }

    private void WriteHeader(Span<byte> header, OperationKind kind, long operationBytes, int messageBytes)
    {
        BinaryPrimitives.WriteInt32LittleEndian(header, (int)kind);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], sendSequence);
        BinaryPrimitives.WriteInt64LittleEndian(header[8..], operationBytes);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], messageBytes);
    }

    private void CheckHeader(ReadOnlySpan<byte> header, int expectedBytes, in Operation operation)
    {
        var kind = (OperationKind)BinaryPrimitives.ReadInt32LittleEndian(header);
        var operationBytes = BinaryPrimitives.ReadInt64LittleEndian(header[8..]);
        if (kind == OperationKind.Abort)
            throw operation.Aborted(Peer, (int)operationBytes);
        var sequence = BinaryPrimitives.ReadInt32LittleEndian(header[4..]);
        var messageBytes = BinaryPrimitives.ReadInt64LittleEndian(header[16..]);
        if (kind != operation.Kind || operationBytes != operation.Bytes || messageBytes != expectedBytes || sequence != receiveSequence)
            throw operation.OutOfStep(Peer, kind, operationBytes);
        receiveSequence++;
    }

    private bool FillIncoming(in Operation operation)
    {
        if (incomingRead > 0)
        {
            incoming.AsSpan(incomingRead..incomingEnd).CopyTo(incoming);
            incomingEnd -= incomingRead;
            incomingRead = 0;
        }

        var received = ReceiveSome(incoming.AsSpan(incomingEnd), operation);
        incomingEnd += received;
        return received > 0;
    }

    private int SendSome(ReadOnlySpan<byte> bytes, in Operation operation)
    {
        var sent = Socket.Send(bytes, SocketFlags.None, out var error);
        if (error is SocketError.Success)
            return sent;
        if (error is SocketError.WouldBlock)
            return 0;
        throw operation.Lost(Peer, $"cannot be reached any more ({error})", new SocketException((int)error));
    }

    private int ReceiveSome(Span<byte> bytes, in Operation operation)
    {
        var received = Socket.Receive(bytes, SocketFlags.None, out var error);
        if (error is SocketError.WouldBlock)
            return 0;
        if (error is not SocketError.Success)
            throw operation.Lost(Peer, $"broke the connection ({error})", new SocketException((int)error));
        return received > 0 ? received : throw operation.Lost(Peer, "closed the connection");
    }

    /// <summary>Values on their way: where the next byte lies and how many remain.</summary>
    private sealed class Transfer(byte* next, int remaining)
    {
        public byte* Next { get; private set; } = next;

        public int Remaining { get; private set; } = remaining;

        public bool HeaderSent { get; set; }

        public void Advance(int bytes)
        {
            Next += bytes;
            Remaining -= bytes;
        }
    }
}
