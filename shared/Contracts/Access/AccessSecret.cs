using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Cluster.Contracts.Access;

/// <summary>
/// The secrets that callers present: a word that says what for, 256 random bits, and a checksum. By the checksum a guess is told from a
/// secret without being looked up, unless who guesses computes it too.
/// </summary>
/// <remarks>
/// Stored as its SHA-256. A slow hash is for what people choose: 256 random bits are found by no number of guesses, whatever one costs,
/// and a slow hash would cost each call.
/// </remarks>
public static partial class AccessSecret
{
    /// <summary>Begins the token of a person or a program.</summary>
    public const string Token = "clt_";

    /// <summary>Begins a node's token.</summary>
    public const string Node = "cln_";

    /// <summary>Begins the one-time code by which a machine becomes a node.</summary>
    public const string Enrollment = "cle_";

    private const int RandomBytes = 32;
    private const int Bytes = RandomBytes + 4;

    public static string Make(string kind)
    {
        var bytes = new byte[Bytes];
        RandomNumberGenerator.Fill(bytes.AsSpan(0, RandomBytes));
        Checksum(kind, bytes).CopyTo(bytes.AsSpan(RandomBytes));
        return kind + Base64Url.EncodeToString(bytes);
    }

    /// <summary>Whether it may be a secret of that kind; whether it is one, only its hash tells.</summary>
    public static bool IsWellFormed(string kind, string text)
    {
        if (!text.StartsWith(kind, StringComparison.Ordinal))
            return false;
        var bytes = new byte[Bytes];
        // Text that is not Base64 would be an exception to decode.
        return Base64Url.GetEncodedLength(Bytes) == text.Length - kind.Length && Base64Url.IsValid(text.AsSpan(kind.Length))
            && Base64Url.TryDecodeFromChars(text.AsSpan(kind.Length), bytes, out var written) && written == Bytes
            && Checksum(kind, bytes).SequenceEqual(bytes.AsSpan(RandomBytes));
    }

    /// <summary>What is stored in the secret's place.</summary>
    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    /// <summary>The text without the secrets that stand in it, for what is kept or shown.</summary>
    public static string Redact(string text) => Secrets().Replace(text, "${kind}…");

    private static ReadOnlySpan<byte> Checksum(string kind, byte[] bytes) =>
        SHA256.HashData([.. Encoding.UTF8.GetBytes(kind), .. bytes.AsSpan(0, RandomBytes)]).AsSpan(0, Bytes - RandomBytes);

    // Webhooks' among them; those of attempts and agents are 64 hexadecimal digits.
    [GeneratedRegex(
        @"(?<kind>cl[tne]_|whsec_)[A-Za-z0-9_-]{8,}|\b[0-9a-f]{64}\b", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Secrets();
}
