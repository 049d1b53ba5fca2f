using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Cluster.Worker.Collectives.Tcp;

/// <summary>
/// The challenge and response by which two ranks convince each other, before any other byte, that both know the attempt's secret.
/// The secret itself never crosses the wire.
/// </summary>
/// <remarks>
/// acceptor → connector: 8 bytes greeting, 32 bytes challenge A.
/// connector → acceptor: its rank, the rank it means to reach and what the connection is for (4 bytes each, called P), 32 bytes challenge
/// C, HMAC-SHA256(secret, "connect", P, A, C).
/// acceptor → connector: HMAC-SHA256(secret, "accept", P, A, C).
/// The role is part of what is signed, so an answer cannot be played back to its sender.
/// Sockets are looked at in intervals instead of awaited: one that was awaited once wakes a thread of the framework at every later packet.
/// </remarks>
internal static class PeerProof
{
    private const int ChallengeBytes = 32;
    private const int ProofBytes = HMACSHA256.HashSizeInBytes;
    private const int PurposeBytes = 12;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(1);

    /// <summary>Name and version of what follows, so that a stranger's protocol is told apart at once.</summary>
    private static readonly byte[] Greeting = "clstr/2\n"u8.ToArray();

    /// <summary>The listening side.</summary>
    /// <returns>Who proved itself, and what for; null if the other side did not.</returns>
    public static async Task<(int Rank, PeerChannel Channel)?> AcceptAsync(
        Socket socket, string secret, int myRank, CancellationToken cancellationToken)
    {
        var myChallenge = RandomNumberGenerator.GetBytes(ChallengeBytes);
        await SendAsync(socket, Joined(Greeting, myChallenge), cancellationToken);

        var answer = await ReceiveAsync(socket, PurposeBytes + ChallengeBytes + ProofBytes, cancellationToken);
        if (answer is null)
            return null;
        var purpose = answer[..PurposeBytes];
        var theirRank = BinaryPrimitives.ReadInt32LittleEndian(purpose);
        var meant = BinaryPrimitives.ReadInt32LittleEndian(purpose.AsSpan(4));
        var channel = (PeerChannel)BinaryPrimitives.ReadInt32LittleEndian(purpose.AsSpan(8));
        var theirChallenge = answer[PurposeBytes..(PurposeBytes + ChallengeBytes)];
        var expected = Prove(secret, "connect", purpose, myChallenge, theirChallenge);
        if (meant != myRank || !CryptographicOperations.FixedTimeEquals(expected, answer.AsSpan(PurposeBytes + ChallengeBytes)))
            return null;

        await SendAsync(socket, Prove(secret, "accept", purpose, myChallenge, theirChallenge), cancellationToken);
        return (theirRank, channel);
    }

    /// <summary>The connecting side.</summary>
    /// <returns>Whether the other side proved itself.</returns>
    public static async Task<bool> ConnectAsync(
        Socket socket, string secret, int myRank, int theirRank, PeerChannel channel, CancellationToken cancellationToken)
    {
        var purpose = Purpose(myRank, theirRank, channel);
        var hello = await ReceiveAsync(socket, Greeting.Length + ChallengeBytes, cancellationToken);
        if (hello?.AsSpan(0, Greeting.Length).SequenceEqual(Greeting) != true)
            return false;
        var theirChallenge = hello[Greeting.Length..];
        var myChallenge = RandomNumberGenerator.GetBytes(ChallengeBytes);
        var proof = Prove(secret, "connect", purpose, theirChallenge, myChallenge);
        await SendAsync(socket, Joined(purpose, myChallenge, proof), cancellationToken);

        var answer = await ReceiveAsync(socket, ProofBytes, cancellationToken);
        return answer is not null
            && CryptographicOperations.FixedTimeEquals(Prove(secret, "accept", purpose, theirChallenge, myChallenge), answer);
    }

    private static byte[] Prove(string secret, string role, byte[] purpose, byte[] acceptorChallenge, byte[] connectorChallenge) =>
        HMACSHA256.HashData(
            Encoding.UTF8.GetBytes(secret),
            Joined(Encoding.ASCII.GetBytes(role), purpose, acceptorChallenge, connectorChallenge));

    private static byte[] Joined(params byte[][] parts) => [.. parts.SelectMany(part => part)];

    private static byte[] Purpose(int connector, int acceptor, PeerChannel channel)
    {
        var bytes = new byte[PurposeBytes];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, connector);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), acceptor);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), (int)channel);
        return bytes;
    }

    private static async Task SendAsync(Socket socket, byte[] bytes, CancellationToken cancellationToken)
    {
        socket.Blocking = false;
        for (var sent = 0; sent < bytes.Length;)
        {
            sent += socket.Send(bytes.AsSpan(sent), SocketFlags.None, out var error);
            await GoOnAsync(error, cancellationToken);
        }
    }

    /// <summary>Reads no byte more than it was asked for: the rest belongs to the exchange that follows.</summary>
    /// <returns>Exactly so many bytes; null if the other side closed before.</returns>
    private static async Task<byte[]?> ReceiveAsync(Socket socket, int count, CancellationToken cancellationToken)
    {
        socket.Blocking = false;
        var bytes = new byte[count];
        for (var received = 0; received < count;)
        {
            var some = socket.Receive(bytes.AsSpan(received), SocketFlags.None, out var error);
            if (some == 0 && error == SocketError.Success)
                return null;
            received += some;
            await GoOnAsync(error, cancellationToken);
        }

        return bytes;
    }

    private static Task GoOnAsync(SocketError error, CancellationToken cancellationToken) => error switch
    {
        SocketError.Success => Task.CompletedTask,
        SocketError.WouldBlock => Task.Delay(Interval, cancellationToken),
        _ => throw new SocketException((int)error),
    };
}

/// <summary>What a connection between two ranks is for.</summary>
internal enum PeerChannel
{
    /// <summary>What all ranks do together.</summary>
    Collective = 1,

    /// <summary>What one rank sends to another.</summary>
    Messages = 2,
}
