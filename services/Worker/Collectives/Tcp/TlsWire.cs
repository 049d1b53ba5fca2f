using System.Net.Security;
using System.Net.Sockets;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// Bytes that are encrypted on the way, by TLS and on the thread that moves them: what comes is decrypted when it is asked for, and what
/// goes is encrypted in portions of some records.
/// </summary>
/// <remarks>The keys are those of the handshake as long as the connection lasts: an attempt's time.</remarks>
internal sealed unsafe class TlsWire : PeerWire
{
    /// <summary>Four of TLS' largest records: few calls of the system, and still in a core's nearest cache.</summary>
    private const int PortionBytes = 64 << 10;

    private readonly SslStream _tls;
    private readonly SocketStream _stream;
    private readonly byte[] _outgoing = new byte[PortionBytes];
    private readonly byte[] _incoming = new byte[PortionBytes];
    private int _staged;
    private ValueTask<int> _reading;
    private bool _isReading;
    private bool _isClosed;
    private int _given;
    private int _decrypted;

    /// <param name="socket">The connection.</param>
    /// <param name="tls">Over it, when peers have convinced each other.</param>
    /// <param name="stream">Between the two.</param>
    public TlsWire(Socket socket, SslStream tls, SocketStream stream)
        : base(socket)
    {
        (_tls, _stream) = (tls, stream);
        stream.StopWaiting();
    }

    public override bool IsEncrypted => true;

    public override long Write(SocketCalls.Piece* pieces, int count)
    {
        if (_staged == 0)
        {
            for (var piece = 0; piece < count; piece++)
            {
                var taken = (int)Math.Min(pieces[piece].Bytes, PortionBytes - _staged);
                new ReadOnlySpan<byte>(pieces[piece].Start, taken).CopyTo(_outgoing.AsSpan(_staged));
                _staged += taken;
            }

            // Ends at once: the stream keeps what it is given.
            _tls.WriteAsync(_outgoing.AsMemory(0, _staged)).AsTask().GetAwaiter().GetResult();
        }

        // Told only when all is out, since who has sent everything does not call again.
        if (!_stream.TryFlush())
            return 0;
        var sent = _staged;
        _staged = 0;
        return sent;
    }

    public override long Read(SocketCalls.Piece* pieces, int count)
    {
        var read = 0L;
        for (var piece = 0; piece < count; piece++)
        {
            for (var filled = 0L; filled < pieces[piece].Bytes;)
            {
                if (_given == _decrypted && !TryDecrypt())
                    return read == 0 && _isClosed ? -1 : read;
                var some = (int)Math.Min(pieces[piece].Bytes - filled, _decrypted - _given);
                _incoming.AsSpan(_given, some).CopyTo(new Span<byte>((byte*)pieces[piece].Start + filled, some));
                (_given, filled, read) = (_given + some, filled + some, read + some);
            }
        }

        return read;
    }

    public override void Dispose()
    {
        _tls.Dispose();
        base.Dispose();
    }

    private bool TryDecrypt()
    {
        if (_isClosed)
            return false;
        if (_isReading)
            _stream.Deliver();
        else
            (_reading, _isReading) = (_tls.ReadAsync(_incoming), true);
        if (!_reading.IsCompleted)
            return false;
        _isReading = false;
        (_given, _decrypted) = (0, _reading.GetAwaiter().GetResult());
        _isClosed = _decrypted == 0;
        return !_isClosed;
    }
}
