using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts;

namespace Cluster.Scheduler.Jobs;

/// <summary>Ids of jobs follow from who submits and their request id, so that a repeated submit meets the same grain.</summary>
public static class JobIds
{
    /// <returns>A UUID of version 8 (RFC 9562 §5.8) made of SHA-256 over owner and request id.</returns>
    public static JobId ForRequest(string owner, string requestId)
    {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        Span<byte> hash = SHA256.HashData(Encoding.UTF8.GetBytes($"cluster/job/{owner.Length}/{owner}/{requestId}"));
        hash[6] = (byte)(0x80 | (hash[6] & 0x0f));
        hash[8] = (byte)(0x80 | (hash[8] & 0x3f));
        return new JobId(new Guid(hash[..16], bigEndian: true));
    }
}
