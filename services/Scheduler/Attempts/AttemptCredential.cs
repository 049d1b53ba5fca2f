using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts;

namespace Cluster.Scheduler.Attempts;

/// <summary>What a trainer's call says it comes from. Every write checks it against Postgres in the transaction that writes.</summary>
/// <param name="SecretHash">SHA-256 of the attempt's secret.</param>
public sealed record AttemptCredential(JobId Job, int Attempt, int Rank, ReadOnlyMemory<byte> SecretHash)
{
    public static AttemptCredential Of(JobId job, int attempt, int rank, string secret) =>
        new(job, attempt, rank, AttemptSecret.Hash(secret));

    public override string ToString() => $"job {Job} attempt {Attempt} rank {Rank}";
}

/// <summary>The secret that makes an attempt's trainers tell themselves apart from those of any other attempt.</summary>
public static class AttemptSecret
{
    private const int Length = 64;

    /// <returns>32 random bytes in hexadecimal.</returns>
    public static string Make() => RandomNumberGenerator.GetHexString(Length, lowercase: true);

    /// <summary>Whether it may be one.</summary>
    public static bool IsWellFormed(string secret) => secret.Length == Length && secret.All(char.IsAsciiHexDigitLower);

    /// <summary>What is stored in the secret's place: SHA-256 of its text.</summary>
    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
