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

    // As Kestrel has for the handshake that follows.
    private static readonly TimeSpan FirstBytePatience = TimeSpan.FromSeconds(10);

    // For the client to read the answer and hang up: who closes first may take away what is still under way.
    private static readonly TimeSpan HangUpPatience = TimeSpan.FromSeconds(1);

    public static void AddTo(ListenOptions listen)
    {
        var answer = listen.Protocols == HttpProtocols.Http2 ? GoAway() : BadRequest();
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

    private static async Task AnswerAsync(ConnectionContext connection, byte[] answer)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed);
        patience.CancelAfter(HangUpPatience);
        try
        {
            await connection.Transport.Output.WriteAsync(answer, patience.Token);
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

    private static byte[] BadRequest() => Encoding.ASCII.GetBytes(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            + $"Content-Length: {Words.Length + 1}\r\n\r\n{Words}\n");

    /// <summary>RFC 9113: an empty SETTINGS frame (6.5), which a server begins with, and a GOAWAY (6.8) of INADEQUATE_SECURITY.</summary>
    private static byte[] GoAway()
    {
        const byte settings = 4, goAway = 7;
        const int headerBytes = 9, lastStreamAndErrorBytes = 8, inadequateSecurity = 0xc;
        var frames = new byte[headerBytes + headerBytes + lastStreamAndErrorBytes + Words.Length];
        frames[3] = settings;
        var second = frames.AsSpan(headerBytes);
        second[2] = (byte)(lastStreamAndErrorBytes + Words.Length);
        second[3] = goAway;
        BinaryPrimitives.WriteInt32BigEndian(second[(headerBytes + 4)..], inadequateSecurity);
        Encoding.ASCII.GetBytes(Words, second[(headerBytes + lastStreamAndErrorBytes)..]);
        return frames;
    }
}
