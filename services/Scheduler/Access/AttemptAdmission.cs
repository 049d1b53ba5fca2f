using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Scheduler.Attempts;
using Grpc.Core;

namespace Cluster.Scheduler.Access;

/// <summary>Lets a trainer's call in when its secret is that of the job's current attempt. Each write looks again as it writes.</summary>
/// <remarks>
/// A secret that was right before is looked up at each call, since the attempt may be over. Others cost no more than
/// <see cref="LookupsASecond"/> queries, however many somebody tries: what is beyond is told to come again, which agents do.
/// </remarks>
public sealed class AttemptAdmission(AttemptFence fence, TimeProvider time)
{
    /// <summary>Of secrets that are not known to be right. A scheduler that has just started meets all running attempts anew.</summary>
    public const int LookupsASecond = 500;

    // Attempts that have been here lately, by the hash of their secret; far more than run at once.
    private const int MostKnown = 20_000;

    private readonly Lock _gate = new();
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly LookupAllowance _lookups = new(LookupsASecond, time);

    /// <exception cref="RpcException">Unauthenticated: there is no such attempt, or the secret is another one's.</exception>
    /// <exception cref="AttemptFencedException">The attempt is over.</exception>
    public async Task<AttemptCredential> AdmitAsync(IHeaderDictionary headers, string secret, CancellationToken cancellationToken)
    {
        var credential = Read(headers, secret);
        var key = $"{credential.Job} {credential.Attempt} {Convert.ToHexString(credential.SecretHash.Span)}";
        if (!IsKnown(key) && !_lookups.TryTake())
            throw new RpcException(new Status(StatusCode.Unavailable, "too many attempts that are not known here; try again in a moment"));
        switch (await fence.StandingAsync(credential, cancellationToken))
        {
            case AttemptStanding.Current:
                Remember(key);
                return credential;
            case AttemptStanding.Over:
                throw new AttemptFencedException($"{credential} is over; nothing more is accepted from it");
            default:
                throw new RpcException(new Status(
                    StatusCode.Unauthenticated, $"{credential} is not known here, or the secret is another one's"));
        }
    }

    private static AttemptCredential Read(IHeaderDictionary headers, string secret)
    {
        if (!JobId.TryParse(headers[CallMetadata.Job], out var job)
            || !int.TryParse(headers[CallMetadata.Attempt], out var attempt)
            || !int.TryParse(headers[CallMetadata.Rank], out var rank))
        {
            throw new RpcException(new Status(
                StatusCode.Unauthenticated,
                $"a trainer's call carries the metadata {CallMetadata.Job}, {CallMetadata.Attempt} and {CallMetadata.Rank}"));
        }

        return AttemptSecret.IsWellFormed(secret)
            ? AttemptCredential.Of(job, attempt, rank, secret)
            : throw new RpcException(new Status(StatusCode.Unauthenticated, "the token is no attempt's secret"));
    }

    private bool IsKnown(string key)
    {
        lock (_gate)
            return _known.Contains(key);
    }

    private void Remember(string key)
    {
        lock (_gate)
        {
            // Those that still run are soon here again.
            if (_known.Count == MostKnown)
                _known.Clear();
            _known.Add(key);
        }
    }
}
