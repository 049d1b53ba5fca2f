using System.Collections.Concurrent;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Placement.Running;

namespace Cluster.Scheduler.Runs;

/// <summary>When jobs that train are expected to end: from their steps, and from how long these have taken in this attempt.</summary>
/// <remarks>
/// Evaluations and checkpoints between steps count as part of them. What is measured is kept in memory: reports that another scheduler
/// takes in begin a measurement there.
/// </remarks>
public sealed class RunPaces(TimeProvider time)
{
    // What is left takes so much longer at worst, of ten times nine: a tenth for a machine that others use, and more as long as few steps
    // were measured.
    private const double Spread = 0.1;
    private const double SpreadOfOneStep = 0.9;

    // A change of the expected end is told from this share of what is left on; each costs the job's row a write.
    private const double Tolerance = 0.1;

    private static readonly TimeSpan LeastChange = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LongestSilence = TimeSpan.FromHours(1);

    // A job of more steps than that is stopped some day, and nobody knows when; and times have an end.
    private static readonly TimeSpan LongestRun = TimeSpan.FromDays(36_525);

    private readonly ConcurrentDictionary<JobId, Pace> _paces = [];

    /// <returns>When the job is expected to end; null: nothing is known, or it is as it was told last.</returns>
    public Estimate? Note(JobId job, int attempt, Progress progress)
    {
        var now = time.GetUtcNow();
        if (progress.Steps <= 0 || progress.Step <= 0)
            return null;
        var pace = _paces.GetValueOrDefault(job);
        if (pace is null || pace.Attempt != attempt)
        {
            foreach (var (old, _) in _paces.Where(each => now - each.Value.Heard > LongestSilence))
                _paces.TryRemove(old, out _);
            _paces[job] = new Pace(attempt, progress.Step, now, now, null);
            return null;
        }

        var (estimate, tell) = (Estimate(pace, progress, now), false);
        if (estimate is not null)
        {
            var least = TimeSpan.FromSeconds(Math.Max(LeastChange.TotalSeconds, (estimate.Likely - now).TotalSeconds * Tolerance));
            tell = pace.Told is not { } told || (told - estimate.Likely).Duration() > least;
        }

        _paces[job] = pace with { Heard = now, Told = tell ? estimate!.Likely : pace.Told };
        return tell ? estimate : null;
    }

    private static Estimate? Estimate(Pace pace, Progress progress, DateTimeOffset now)
    {
        var steps = progress.Step - pace.FirstStep;
        if (steps <= 0)
            return null;
        var seconds = (now - pace.Since).TotalSeconds / steps * Math.Max(0, progress.Steps - progress.Step);
        if (seconds > LongestRun.TotalSeconds)
            return null;
        var left = TimeSpan.FromSeconds(seconds);
        return new Estimate(now + left, now + (left * (1 + Spread + (SpreadOfOneStep / Math.Sqrt(steps)))));
    }

    /// <param name="Since">When <paramref name="FirstStep"/> was heard of, from which on it is measured.</param>
    /// <param name="Told">The likely end, as it was told last.</param>
    private sealed record Pace(int Attempt, long FirstStep, DateTimeOffset Since, DateTimeOffset Heard, DateTimeOffset? Told);
}
