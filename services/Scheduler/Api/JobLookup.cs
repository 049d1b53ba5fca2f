using Cluster.Contracts;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Workspaces;

namespace Cluster.Scheduler.Api;

/// <summary>Finds the job that a person means by the beginning of its id.</summary>
public sealed class JobLookup(JobQueries queries)
{
    /// <param name="text">The id or its beginning.</param>
    /// <param name="seen">What is hidden is not there.</param>
    /// <exception cref="InvalidRequestException">The text is no prefix of an id, or of several jobs' ids.</exception>
    /// <exception cref="JobNotFoundException">No job's id begins so.</exception>
    public async Task<JobId> FindAsync(string text, Visibility seen, CancellationToken cancellationToken)
    {
        if (!IdPrefix.TryParse(text, out var prefix))
            throw new InvalidRequestException(
                $"job_id is '{text}'; give the id or its first {IdPrefix.MinDigits} or more hexadecimal digits");
        var found = await queries.FindAsync(prefix, limit: 2, seen, cancellationToken);
        return found.Count switch
        {
            0 => throw new JobNotFoundException($"no job has an id that begins with {prefix}"),
            1 => found[0],
            _ => throw new InvalidRequestException($"job_id is '{text}', with which several jobs' ids begin; give more of it"),
        };
    }
}
