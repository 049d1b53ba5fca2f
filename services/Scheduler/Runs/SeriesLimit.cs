using System.Collections.Concurrent;
using Cluster.Contracts;
using Cluster.Scheduler.Limits;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Runs;

/// <summary>Keeps a job from having more series of metrics than <see cref="LimitOptions.SeriesPerJob"/>.</summary>
/// <remarks>A job's names are read when the first of its reports comes here, and remembered: the others cost no query.</remarks>
public sealed class SeriesLimit(MetricStore metrics, IOptions<LimitOptions> options)
{
    // Far more than run at once, of some kilobytes each. Those that still run are soon here again.
    private const int MostJobs = 20_000;

    private readonly ConcurrentDictionary<JobId, HashSet<string>> _known = new();

    /// <summary>Notes the names as the job's.</summary>
    /// <returns>False: they would be too many, and none is noted.</returns>
    public async ValueTask<bool> TryAddAsync(JobId job, IEnumerable<string> names, CancellationToken cancellationToken)
    {
        if (!_known.TryGetValue(job, out var known))
        {
            if (_known.Count >= MostJobs)
                _known.Clear();
            known = _known.GetOrAdd(job, [.. await metrics.NamesAsync(job, cancellationToken)]);
        }

        lock (known)
        {
            var added = names.Where(name => !known.Contains(name)).ToHashSet(StringComparer.Ordinal);
            if (added.Count > 0 && known.Count + added.Count > options.Value.SeriesPerJob)
                return false;
            known.UnionWith(added);
            return true;
        }
    }
}
