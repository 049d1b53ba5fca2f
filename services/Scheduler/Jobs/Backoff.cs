using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Jobs;

/// <summary>How long a job waits before its next attempt.</summary>
internal static class Backoff
{
    /// <param name="failures">How many in a row there were, from 1.</param>
    /// <returns>The policy's initial backoff, doubled for each failure after the first, at most the policy's maximum.</returns>
    public static TimeSpan After(int failures, RestartPolicy policy)
    {
        var initial = policy.InitialBackoff?.ToTimeSpan() ?? TimeSpan.Zero;
        var max = policy.MaxBackoff?.ToTimeSpan() ?? TimeSpan.Zero;
        // 2^30 of the smallest unit that matters is more than a decade: the cap decides from there on.
        var seconds = initial.TotalSeconds * Math.Pow(2, Math.Clamp(failures - 1, 0, 30));
        return seconds >= max.TotalSeconds ? max : TimeSpan.FromSeconds(seconds);
    }
}
