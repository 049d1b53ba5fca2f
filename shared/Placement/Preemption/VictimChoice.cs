using System.Collections.Immutable;
using Cluster.Placement.Backfill;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Preemption;

/// <summary>Who may be stopped for a job at all: whoever loses least for each device is met first.</summary>
internal sealed class VictimChoice(RunningIndex running, Reserver reserver, RoomTally tally, CycleTerms terms)
{
    // Beyond those that suffice, so many more are considered, since they might lose less.
    private const int MoreVictims = 32;

    private readonly PriorityQueue<Source, DateTimeOffset> _sources = new(Comparer<DateTimeOffset>.Create((x, y) => y.CompareTo(x)));

    /// <param name="mayBeOwed">Whether other queues' jobs come into question.</param>
    public List<Victim> For(WaitingJob job, QueueNode line, DeviceClass kind, bool mayBeOwed)
    {
        if (running.RunsBelow(line, job.Priority))
            Advance(new Source(running.LeastLossFirst(line).GetEnumerator(), [], job.Priority));
        if (mayBeOwed)
            AddLenders(line, kind, job.Need.Fewest);

        var (victims, useful, lack, more) = (new List<Victim>(), 0L, tally.Lack, MoreVictims);
        while (_sources.TryDequeue(out var source, out _) && --reserver.Work > 0 && (useful < lack || more-- > 0))
        {
            if (VictimOf(source.Jobs.Current, source, job, kind) is { } victim)
            {
                victims.Add(victim);
                useful += victim.Useful;
            }

            Advance(source);
        }

        return victims;
    }

    /// <summary>Queues beyond their quota, of those that meet the job's where all below are owed what it asks for.</summary>
    private void AddLenders(QueueNode line, DeviceClass kind, int devices)
    {
        foreach (var owed in line.Path)
        {
            if (!Shares.IsOwed(owed, kind, devices))
                return;
            foreach (var sibling in owed.Parent!.Children.Where(child => child != owed))
                AddLender(sibling, kind, []);
        }
    }

    private void AddLender(QueueNode queue, DeviceClass kind, ImmutableArray<QueueNode> above)
    {
        if (queue.Staying(kind) <= queue.Nominal(kind))
            return;
        var lenders = above.Add(queue);
        foreach (var child in queue.Children)
            AddLender(child, kind, lenders);
        Advance(new Source(running.LeastLossFirst(queue).GetEnumerator(), lenders, int.MaxValue));
    }

    private void Advance(Source source)
    {
        if (source.Jobs.MoveNext())
            _sources.Enqueue(source, source.Jobs.Current.Facts!.LostSince);
    }

    private Victim? VictimOf(RunningJob job, Source source, WaitingJob preemptor, DeviceClass kind)
    {
        var facts = job.Facts!;
        // Who ends within the grace period is waited for: its devices count already.
        if (job.FreeAt > terms.Time && job.FreeAt <= terms.Time + terms.Policy.Grace)
            return null;
        if (job.Kind != kind || facts.Priority >= source.Below || !job.MayBeStopped(terms.Time) || reserver.IsStopped(job.Id))
            return null;
        var extra = facts.Need is { MinDevices: > 0 } need ? job.Devices.Length - need.Fewest : 0;
        if (extra == 0 && preemptor.YieldedTo.Contains(job.Id))
            return null;
        var frees = extra > 0 ? [.. job.Devices.OrderByDescending(tally.Counts).Take(extra)] : job.Devices;
        var useful = frees.Count(tally.Counts);
        return useful > 0 ? new Victim(job, frees, job.Loss(terms.Time), useful, source.Lenders) : null;
    }

    /// <param name="Below">Only those of a lower priority.</param>
    private sealed record Source(IEnumerator<RunningJob> Jobs, ImmutableArray<QueueNode> Lenders, int Below);
}
