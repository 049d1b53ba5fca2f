using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Dependencies;

/// <summary>Settles at submit which jobs another is to come after. They exist before it does, so none can wait for itself.</summary>
internal sealed class DependencyPin(JobQueries jobs)
{
    /// <returns>The spec with the whole ids of the jobs; the same spec where it names none.</returns>
    /// <exception cref="DependencyException">There is no such job, or the prefix may mean several, or one is named twice.</exception>
    public async Task<JobSpec> PinAsync(JobSpec spec, CancellationToken cancellationToken)
    {
        if (spec.After.Count == 0)
            return spec;
        var pinned = spec.Clone();
        for (var i = 0; i < pinned.After.Count; i++)
            pinned.After[i].Job = (await FindAsync(pinned.After[i].Job, i + 1, cancellationToken)).ToString();
        return pinned.After.GroupBy(dependency => dependency.Job).FirstOrDefault(same => same.Count() > 1) is { } twice
            ? throw new DependencyException($"after names job {twice.Key} twice; keep one of the two")
            : pinned;
    }

    private async Task<JobId> FindAsync(string text, int number, CancellationToken cancellationToken)
    {
        var found = IdPrefix.TryParse(text, out var prefix) ? await jobs.FindAsync(prefix, limit: 2, cancellationToken) : [];
        return found.Count switch
        {
            0 => throw new DependencyException($"after[{number}].job is {text} but no job's id begins so; ./cluster job list shows them"),
            1 => found[0],
            _ => throw new DependencyException($"after[{number}].job is {text}, with which several jobs' ids begin; give more of it"),
        };
    }
}
