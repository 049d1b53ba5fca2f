using Cluster.Contracts;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Workspaces;

namespace Cluster.Scheduler.Api;

/// <summary>Finds the experiment that a person means by the beginning of its id.</summary>
public sealed class ExperimentLookup(ExperimentStore store)
{
    /// <param name="text">The id or its beginning.</param>
    /// <param name="seen">What is hidden is not there.</param>
    /// <exception cref="InvalidRequestException">The text is no prefix of an id, or of several experiments' ids.</exception>
    /// <exception cref="ExperimentNotFoundException">No experiment's id begins so.</exception>
    public async Task<ExperimentId> FindAsync(string text, Visibility seen, CancellationToken cancellationToken)
    {
        if (!IdPrefix.TryParse(text, out var prefix))
            throw new InvalidRequestException(
                $"experiment_id is '{text}'; give the id or its first {IdPrefix.MinDigits} or more hexadecimal digits");
        var found = await store.FindAsync(prefix, limit: 2, seen, cancellationToken);
        return found.Count switch
        {
            0 => throw new ExperimentNotFoundException($"no experiment has an id that begins with {prefix}"),
            1 => found[0],
            _ => throw new InvalidRequestException(
                $"experiment_id is '{text}', with which several experiments' ids begin; give more of it"),
        };
    }
}
