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
/// connector → acceptor: its rank and the rank it means to reach (4 bytes each), 32 bytes challenge C, HMAC-SHA256(secret, "connect", both ranks, A, C).
/// acceptor → connector: HMAC-SHA256(secret, "accept", both ranks, A, C).
/// The role is part of what is signed, so an answer cannot be played back to its sender.
/// </remarks>
internal static class PeerProof
{
    private const int ChallengeBytes = 32;
    private const int ProofBytes = HMACSHA256.HashSizeInBytes;
    private const int RanksBytes = 8;

    /// <summary>Name and version of what follows, so that a stranger's protocol is told apart at once.</summary>
    private static readonly byte[] Greeting = "clstr/1\n"u8.ToArray();

    /// <summary>The listening side.</summary>
    /// <returns>The rank that proved itself; null if the other side did not.</returns>
    public static async Task<int?> AcceptAsync(Socket socket, string secret, int myRank, CancellationToken cancellationToken)
    {
        var myChallenge = RandomNumberGenerator.GetBytes(ChallengeBytes);
        await SendAsync(socket, Joined(Greeting, myChallenge), cancellationToken);

        var answer = await ReceiveAsync(socket, RanksBytes + ChallengeBytes + ProofBytes, cancellationToken);
        if (answer is null)
            return null;
        var theirRank = BinaryPrimitives.ReadInt32LittleEndian(answer);
        var meant = BinaryPrimitives.ReadInt32LittleEndian(answer.AsSpan(4));
        var theirChallenge = answer[RanksBytes..(RanksBytes + ChallengeBytes)];
        var expected = Prove(secret, "connect", theirRank, myRank, myChallenge, theirChallenge);
        if (meant != myRank || !CryptographicOperations.FixedTimeEquals(expected, answer.AsSpan(RanksBytes + ChallengeBytes)))
            return null;

        await SendAsync(socket, Prove(secret, "accept", theirRank, myRank, myChallenge, theirChallenge), cancellationToken);
        return theirRank;
    }

    /// <summary>The connecting side.</summary>
    /// <returns>Whether the other side proved itself.</returns>
    public static async Task<bool> ConnectAsync(Socket socket, string secret, int myRank, int theirRank, CancellationToken cancellationToken)
    {
        var hello = await ReceiveAsync(socket, Greeting.Length + ChallengeBytes, cancellationToken);
        if (hello?.AsSpan(0, Greeting.Length).SequenceEqual(Greeting) != true)
            return false;
        var theirChallenge = hello[Greeting.Length..];
        var myChallenge = RandomNumberGenerator.GetBytes(ChallengeBytes);
        var proof = Prove(secret, "connect", myRank, theirRank, theirChallenge, myChallenge);
        await SendAsync(socket, Joined(Ranks(myRank, theirRank), myChallenge, proof), cancellationToken);

        var answer = await ReceiveAsync(socket, ProofBytes, cancellationToken);
        return answer is not null
            && CryptographicOperations.FixedTimeEquals(Prove(secret, "accept", myRank, theirRank, theirChallenge, myChallenge), answer);
    }

    private static byte[] Prove(string secret, string role, int connector, int acceptor, byte[] acceptorChallenge, byte[] connectorChallenge) =>
        HMACSHA256.HashData(
            Encoding.UTF8.GetBytes(secret),
            Joined(Encoding.ASCII.GetBytes(role), Ranks(connector, acceptor), acceptorChallenge, connectorChallenge));

    private static byte[] Joined(params byte[][] parts) => [.. parts.SelectMany(part => part)];

    private static byte[] Ranks(int connector, int acceptor)
    {
        var bytes = new byte[RanksBytes];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, connector);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), acceptor);
        return bytes;
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, cancellationToken)..];
    }

    /// <summary>Reads no byte more than it was asked for: the rest belongs to the exchange that follows.</summary>
    /// <returns>Exactly so many bytes; null if the other side closed before.</returns>
    private static async Task<byte[]?> ReceiveAsync(Socket socket, int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        for (var received = 0; received < count;)
        {
            var some = await socket.ReceiveAsync(bytes.AsMemory(received), SocketFlags.None, cancellationToken);
            if (some == 0)
                return null;
            received += some;
        }

        return bytes;
    }
}
