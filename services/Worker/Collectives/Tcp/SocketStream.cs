using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// A socket as a stream, for the framework's TLS and for the handshake. While peers convince each other its calls wait for the socket;
/// then they never do, see <see cref="StopWaiting"/>.
/// </summary>
/// <remarks>
/// The socket is looked at in intervals instead of awaited: one that was awaited once wakes a thread of the framework at every later
/// packet.
/// </remarks>
internal sealed class SocketStream : Stream, IValueTaskSource<int>
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(1);

    private readonly Socket _socket;
    private ManualResetValueTaskSourceCore<int> _coming;
    private Memory<byte> _place;
    private bool _isAwaited;
    private bool _waits = true;
    private byte[] _outgoing = [];
    private int _sent;
    private int _written;

    public SocketStream(Socket socket)
    {
        _socket = socket;
        socket.Blocking = false;
    }

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>
    /// From now on a write ends at once and its bytes are kept for <see cref="TryFlush"/>, and a read for which there is nothing ends in a
    /// later <see cref="Deliver"/>, on the thread that calls it.
    /// </summary>
    public void StopWaiting() => _waits = false;

    /// <summary>Gives the read that is under way what has come, if anything has.</summary>
    public void Deliver()
    {
        if (!_isAwaited)
            return;
        try
        {
            if (!TryReceive(_place.Span, out var received))
                return;
            _isAwaited = false;
            _coming.SetResult(received);
        }
        catch (IOException e)
        {
            _isAwaited = false;
            _coming.SetException(e);
        }
    }

    /// <summary>Sends as much of what was written as the socket takes now.</summary>
    /// <returns>Whether all of it has gone.</returns>
    public bool TryFlush()
    {
        while (_sent < _written)
        {
            if (!TrySend(_outgoing.AsSpan(_sent, _written - _sent), out var sent))
                return false;
            _sent += sent;
        }

        _sent = _written = 0;
        return true;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_waits)
            return ReceiveAsync(buffer, cancellationToken);
        // Who asks for nothing wants to hear when there is something, and asks for that next.
        if (buffer.IsEmpty)
            return new(0);
        if (TryReceive(buffer.Span, out var received))
            return new(received);
        (_place, _isAwaited) = (buffer, true);
        _coming.Reset();
        return new(this, _coming.Version);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_waits)
            return SendAsync(buffer, cancellationToken);
        if (_outgoing.Length < _written + buffer.Length)
            Array.Resize(ref _outgoing, _written + buffer.Length);
        buffer.Span.CopyTo(_outgoing.AsSpan(_written));
        _written += buffer.Length;
        return default;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    int IValueTaskSource<int>.GetResult(short token) => _coming.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _coming.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _coming.OnCompleted(continuation, state, token, flags);

    private async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int received;
        while (!TryReceive(buffer.Span, out received))
            await Task.Delay(Interval, cancellationToken);
        return received;
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        while (buffer.Length > 0)
        {
            if (TrySend(buffer.Span, out var sent))
                buffer = buffer[sent..];
            else
                await Task.Delay(Interval, cancellationToken);
        }
    }

    private bool TryReceive(Span<byte> buffer, out int received)
    {
        received = _socket.Receive(buffer, SocketFlags.None, out var error);
        return IsDone(error);
    }

    private bool TrySend(ReadOnlySpan<byte> bytes, out int sent)
    {
        sent = _socket.Send(bytes, SocketFlags.None, out var error);
        return IsDone(error);
    }

    private static bool IsDone(SocketError error) => error switch
    {
        SocketError.Success => true,
        SocketError.WouldBlock => false,
        _ => throw Broken(error),
    };

    private static IOException Broken(SocketError error)
    {
        var cause = new SocketException((int)error);
        return new IOException(cause.Message, cause);
    }
}
