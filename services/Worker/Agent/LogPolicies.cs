using System.Text.RegularExpressions;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Agent;

/// <summary>Looks for the patterns of a job's failure policies in what its ranks write.</summary>
internal sealed class LogPolicies
{
    private readonly Lock _gate = new();
    private readonly Dictionary<int, Regex> _patterns = [];
    private readonly Dictionary<int, SortedSet<int>> _found = [];

    public LogPolicies(IEnumerable<FailurePolicy> policies)
    {
        foreach (var (number, policy) in policies.Index())
        {
            if (LogPattern.TryRead(policy.Pattern, out var pattern))
                _patterns.Add(number + 1, pattern);
        }
    }

    /// <returns>The number of a policy that takes too long and is not looked for any more; 0: none.</returns>
    public int Look(int rank, string line)
    {
        lock (_gate)
        {
            foreach (var (number, pattern) in _patterns)
            {
                if (_found.TryGetValue(rank, out var known) && known.Contains(number))
                    continue;
                try
                {
                    if (!pattern.IsMatch(line))
                        continue;
                }
                catch (RegexMatchTimeoutException)
                {
                    _patterns.Remove(number);
                    return number;
                }

                if (known is null)
                    _found.Add(rank, known = []);
                known.Add(number);
            }

            return 0;
        }
    }

    /// <summary>The numbers, from 1, of those that were found in what the rank wrote.</summary>
    public IReadOnlyList<int> FoundOf(int rank)
    {
        lock (_gate)
            return _found.TryGetValue(rank, out var found) ? [.. found] : [];
    }
}
