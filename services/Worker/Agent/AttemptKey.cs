using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>One numbered start of a job.</summary>
internal readonly record struct AttemptKey(JobId Job, int Attempt)
{
    /// <exception cref="FormatException">The job's id is no UUID.</exception>
    public static AttemptKey Of(AttemptRef reference) => new(JobId.Parse(reference.JobId), reference.Attempt);

    public AttemptRef ToRef() => new() { JobId = Job.ToString(), Attempt = Attempt };
}

/// <summary>One rank of an attempt.</summary>
internal readonly record struct RankKey(AttemptKey Attempt, int Rank)
{
    /// <summary>The metadata that AttemptService wants.</summary>
    public Metadata Headers(string attemptSecret) => new()
    {
        { CallMetadata.Job, Attempt.Job.ToString() },
        { CallMetadata.Attempt, Attempt.Attempt.ToString(CultureInfo.InvariantCulture) },
        { CallMetadata.Rank, Rank.ToString(CultureInfo.InvariantCulture) },
        { CallMetadata.Authorization, CallMetadata.Bearer(attemptSecret) },
    };

    /// <summary>Reads that metadata back, with the secret.</summary>
    public static bool TryRead(Metadata headers, out RankKey key, out string secret)
    {
        secret = CallMetadata.TokenOf(headers.GetValue(CallMetadata.Authorization)) ?? "";
        key = default;
        if (!JobId.TryParse(headers.GetValue(CallMetadata.Job), out var job)
            || !TryNumber(headers, CallMetadata.Attempt, out var attempt)
            || !TryNumber(headers, CallMetadata.Rank, out var rank))
        {
            return false;
        }

        key = new RankKey(new AttemptKey(job, attempt), rank);
        return true;
    }

    private static bool TryNumber(Metadata headers, string name, out int number) =>
        int.TryParse(headers.GetValue(name), NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
