using Cluster.Placement.Running;

namespace Cluster.Placement.Forecasts;

/// <summary>How the jobs that ended last did: after what part of the time that they were expected to run.</summary>
/// <remarks>
/// Failures and people end jobs early, and their devices are free then: with a third of the jobs failing, who reckons with expected ends
/// alone is late by as much as the wait is long. A job that is tried again on its devices, or stopped for another one, has not ended.
/// </remarks>
public sealed class Endings
{
    // Some hours of a busy cluster.
    private const int Most = 1_000;

    // Later than that is no early end: by so much a measured step time may be off.
    private const double Early = 0.9;

    private readonly Queue<double> _parts = new();
    private readonly Dictionary<JobKey, double> _stopping = [];
    private EarlyEnds? _soFar;

    /// <summary>Takes note of a change, before the state does.</summary>
    public void Apply(ClusterChange change, ClusterState state, DateTimeOffset now)
    {
        switch (change)
        {
            case ClusterChange.JobGranted { Facts.Preemptible: false } granted when PartOf(granted.Job, state, now) is { } part:
                // It stops, which takes a while; it may be tried again then.
                _stopping.TryAdd(granted.Job, part);
                break;
            case ClusterChange.JobQueued queued:
                _stopping.Remove(queued.Job.Id);
                break;
            case ClusterChange.JobEnded ended:
                if (_stopping.Remove(ended.Job, out var stopped))
                    Add(stopped);
                else if (PartOf(ended.Job, state, now) is { } ran)
                    Add(ran);
                break;
        }
    }

    /// <summary>What is known of them now.</summary>
    internal EarlyEnds SoFar() => _soFar ??= new EarlyEnds([.. _parts.Where(part => part < Early).Order()], _parts.Count);

    private void Add(double part)
    {
        _parts.Enqueue(part);
        if (_parts.Count > Most)
            _parts.Dequeue();
        _soFar = null;
    }

    private static double? PartOf(JobKey job, ClusterState state, DateTimeOffset now) =>
        state.FactsOf(job) is { Preemptible: true, Release: null, End: { } end, StartedAt: var since } && end.Likely > since
            ? Math.Max(0, (now - since) / (end.Likely - since)) : null;
}

/// <summary>Of those that ended early, after what part of their expected runs, in order; and how many ended in all.</summary>
internal sealed class EarlyEnds(double[] parts, int all)
{
    /// <summary>Draws after what part of its expected run a job ends early; null: it does not.</summary>
    /// <param name="behind">The part of it that it has behind it.</param>
    public double? Draw(Chance chance, double behind)
    {
        var first = Array.BinarySearch(parts, behind);
        first = first < 0 ? ~first : first + 1;
        var (early, asExpected) = (parts.Length - first, all - parts.Length);
        return chance.Below(early + asExpected) is var drawn && drawn < early ? parts[first + drawn] : null;
    }
}
