using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts;

namespace Cluster.Scheduler.Jobs;

/// <summary>Ids follow from who submits and their request id, so that a repeated submit meets the same grain and the same rows.</summary>
public static class JobIds
{
    /// <returns>A UUID of version 8 (RFC 9562 §5.8) made of SHA-256 over owner and request id.</returns>
    public static JobId ForRequest(string owner, string requestId) => new(Hash("job", owner, requestId));

    /// <inheritdoc cref="ForRequest"/>
    public static ExperimentId ForExperiment(string owner, string requestId) => new(Hash("experiment", owner, requestId));

    /// <summary>The request id under which an experiment's member is stored: with a character that no caller's own may have.</summary>
    /// <param name="member">From 0, in the file's order.</param>
    public static string MemberRequest(string experimentRequest, int member) => $"{experimentRequest}\u0001{member}";

    private static Guid Hash(string kind, string owner, string requestId)
    {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        Span<byte> hash = SHA256.HashData(Encoding.UTF8.GetBytes($"cluster/{kind}/{owner.Length}/{owner}/{requestId}"));
        hash[6] = (byte)(0x80 | (hash[6] & 0x0f));
        hash[8] = (byte)(0x80 | (hash[8] & 0x3f));
        return new Guid(hash[..16], bigEndian: true);
    }
}
