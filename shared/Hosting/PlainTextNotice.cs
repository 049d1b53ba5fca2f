using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Cluster.Hosting;

/// <summary>Tells who calls a port of TLS in plain text what is wrong, where a handshake would only fail.</summary>
internal static class PlainTextNotice
{
    private const string Words = "this port speaks TLS; write its address with https://";

    // What a TLS connection begins with: RFC 8446, 5.1.
    private const byte Handshake = 22;

    // Of HTTP/2: RFC 9113, 4.1.
    private const int FrameHeaderBytes = 9, FrameTypeAt = 3;

    // As Kestrel has for the handshake that follows.
    private static readonly TimeSpan FirstBytePatience = TimeSpan.FromSeconds(10);

    // For the client to read the answer and hang up: who closes first may take away what is still under way.
    private static readonly TimeSpan HangUpPatience = TimeSpan.FromSeconds(1);

    public static void AddTo(ListenOptions listen)
    {
        Func<ConnectionContext, CancellationToken, Task> answer = listen.Protocols == HttpProtocols.Http2 ? GoAwayAsync : BadRequestAsync;
        listen.Use(next => async connection =>
        {
            if (await BeginsWithTlsAsync(connection))
                await next(connection);
            else
                await AnswerAsync(connection, answer);
        });
    }

    private static async Task<bool> BeginsWithTlsAsync(ConnectionContext connection)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed);
        patience.CancelAfter(FirstBytePatience);
        try
        {
            var input = connection.Transport.Input;
            var begin = (await input.ReadAsync(patience.Token)).Buffer;
            var speaksTls = begin.IsEmpty || begin.FirstSpan[0] == Handshake;
            input.AdvanceTo(begin.Start);
            return speaksTls;
        }
        catch (OperationCanceledException)
        {
            // It has said nothing: the handshake ends as it does for one that is given up.
            connection.Abort();
            return true;
        }
    }

    private static async Task AnswerAsync(ConnectionContext connection, Func<ConnectionContext, CancellationToken, Task> answer)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed);
        patience.CancelAfter(HangUpPatience);
        try
        {
            await answer(connection, patience.Token);
            var input = connection.Transport.Input;
            while (true)
            {
                var read = await input.ReadAsync(patience.Token);
                input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                    return;
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException)
        {
            // It had its time.
        }
    }

    private static async Task BadRequestAsync(ConnectionContext connection, CancellationToken cancellationToken) =>
        await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                + $"Content-Length: {Words.Length + 1}\r\n\r\n{Words}\n"), cancellationToken);

    /// <summary>
    /// RFC 9113: an empty SETTINGS frame (6.5), which a server begins with, and when the client has asked for something a GOAWAY (6.8) of
    /// INADEQUATE_SECURITY. Before, it would take that for a connection that cannot be made, and tell nobody why.
    /// </summary>
    private static async Task GoAwayAsync(ConnectionContext connection, CancellationToken cancellationToken)
    {
        const byte settings = 4, goAway = 7;
        const int lastStreamAndErrorBytes = 8, inadequateSecurity = 0xc;
        var (input, output) = (connection.Transport.Input, connection.Transport.Output);
        var first = new byte[FrameHeaderBytes];
        first[FrameTypeAt] = settings;
        await output.WriteAsync(first, cancellationToken);
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken);
            var hasAsked = HasHeaders(read.Buffer);
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (hasAsked || read.IsCompleted)
                break;
        }

        var last = new byte[FrameHeaderBytes + lastStreamAndErrorBytes + Words.Length];
        last[2] = (byte)(lastStreamAndErrorBytes + Words.Length);
        last[FrameTypeAt] = goAway;
        BinaryPrimitives.WriteInt32BigEndian(last.AsSpan(FrameHeaderBytes + 4), inadequateSecurity);
        Encoding.ASCII.GetBytes(Words, last.AsSpan(FrameHeaderBytes + lastStreamAndErrorBytes));
        await output.WriteAsync(last, cancellationToken);
    }

    /// <summary>Whether there is a HEADERS frame (6.2) behind the client's preface (3.4).</summary>
    private static bool HasHeaders(ReadOnlySequence<byte> sent)
    {
        const int prefaceBytes = 24;
        const byte headers = 1;
        Span<byte> frame = stackalloc byte[FrameHeaderBytes];
        for (long at = prefaceBytes; at + FrameHeaderBytes <= sent.Length;)
        {
            sent.Slice(at, FrameHeaderBytes).CopyTo(frame);
            if (frame[FrameTypeAt] == headers)
                return true;
            at += FrameHeaderBytes + ((frame[0] << 16) | BinaryPrimitives.ReadUInt16BigEndian(frame[1..]));
        }

        return false;
    }
}
