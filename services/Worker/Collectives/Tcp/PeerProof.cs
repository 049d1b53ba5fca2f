using System.Buffers.Binary;
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
/// </remarks>
internal static class PeerProof
{
    private const int ChallengeBytes = 32;
    private const int ProofBytes = HMACSHA256.HashSizeInBytes;
    private const int PurposeBytes = 12;

    /// <summary>Name and version of what follows, so that a stranger's protocol is told apart at once.</summary>
    private static readonly byte[] Greeting = "clstr/2\n"u8.ToArray();

    /// <summary>The listening side.</summary>
    /// <param name="stream">To whoever it is.</param>
    /// <param name="secret">Of the attempt.</param>
    /// <param name="myRank">This one.</param>
    /// <param name="mayBe">Asked of one that knows the secret, before it is answered.</param>
    /// <param name="cancellationToken">Ends the exchange.</param>
    /// <returns>Who proved itself, and what for; null if the other side did not.</returns>
    public static async Task<(int Rank, PeerChannel Channel)?> AcceptAsync(
        Stream stream, string secret, int myRank, Predicate<(int Rank, PeerChannel Channel)> mayBe, CancellationToken cancellationToken)
    {
        var myChallenge = RandomNumberGenerator.GetBytes(ChallengeBytes);
        await stream.WriteAsync(Joined(Greeting, myChallenge), cancellationToken);

        var answer = await ReceiveAsync(stream, PurposeBytes + ChallengeBytes + ProofBytes, cancellationToken);
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
        if (!mayBe((theirRank, channel)))
            return null;

        await stream.WriteAsync(Prove(secret, "accept", purpose, myChallenge, theirChallenge), cancellationToken);
        return (theirRank, channel);
    }

    /// <summary>The connecting side.</summary>
    /// <returns>Whether the other side greeted this one, and whether it proved itself then.</returns>
    public static async Task<(bool Greeted, bool Proven)> ConnectAsync(
        Stream stream, string secret, int myRank, int theirRank, PeerChannel channel, CancellationToken cancellationToken)
    {
        var purpose = Purpose(myRank, theirRank, channel);
        var hello = await ReceiveAsync(stream, Greeting.Length + ChallengeBytes, cancellationToken);
        if (hello?.AsSpan(0, Greeting.Length).SequenceEqual(Greeting) != true)
            return (false, false);
        var theirChallenge = hello[Greeting.Length..];
        var myChallenge = RandomNumberGenerator.GetBytes(ChallengeBytes);
        var proof = Prove(secret, "connect", purpose, theirChallenge, myChallenge);
        await stream.WriteAsync(Joined(purpose, myChallenge, proof), cancellationToken);

        var answer = await ReceiveAsync(stream, ProofBytes, cancellationToken);
        var expected = Prove(secret, "accept", purpose, theirChallenge, myChallenge);
        return (true, answer is not null && CryptographicOperations.FixedTimeEquals(expected, answer));
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

    /// <summary>Reads no byte more than it was asked for: the rest belongs to the exchange that follows.</summary>
    /// <returns>Exactly so many bytes; null if the other side closed before.</returns>
    private static async Task<byte[]?> ReceiveAsync(Stream stream, int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        return await stream.ReadAtLeastAsync(bytes, count, throwOnEndOfStream: false, cancellationToken) == count ? bytes : null;
    }
}

/// <summary>What a connection between two ranks is for.</summary>
internal enum PeerChannel
{
    /// <summary>What all ranks do together.</summary>
    Collective = 1,

    /// <summary>What one rank sends to another.</summary>
    Messages = 2,
}
