using System.Text.RegularExpressions;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Agent;

/// <summary>Looks for the patterns of a job's failure policies in what its ranks write.</summary>
internal sealed class LogPolicies
{
    // A busy machine may hold up a look, and seldom the next one.
    private const int TriesOfOne = 3;

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
                switch (IsMatch(pattern, line))
                {
                    case null:
                        _patterns.Remove(number);
                        return number;
                    case true:
                        if (known is null)
                            _found.Add(rank, known = []);
                        known.Add(number);
                        break;
                }
            }

            return 0;
        }
    }

    /// <returns>Null: it cannot be told in time.</returns>
    private static bool? IsMatch(Regex pattern, string line)
    {
        for (var tried = 0; tried < TriesOfOne; tried++)
        {
            try
            {
                return pattern.IsMatch(line);
            }
            catch (RegexMatchTimeoutException)
            {
                // Once more, or never again.
            }
        }

        return null;
    }

    /// <summary>The numbers, from 1, of those that were found in what the rank wrote.</summary>
    public IReadOnlyList<int> FoundOf(int rank)
    {
        lock (_gate)
            return _found.TryGetValue(rank, out var found) ? [.. found] : [];
    }
}
