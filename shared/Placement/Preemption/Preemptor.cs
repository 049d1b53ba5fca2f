using System.Collections.Immutable;
using Cluster.Placement.Backfill;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Preemption;

/// <summary>Has running jobs stopped or shrunk for one that is owed devices, or has a higher priority than they in its queue.</summary>
/// <remarks>
/// <para>
/// A job that is owed devices leaves its queue within its quota; who is stopped for it is in a queue beyond its own, and the same holds of
/// the queues in which these two lie, up to where they meet. So nobody is stopped for a job in whose stead it could ask for its devices
/// back: the other queue is within its quota then. Where many changes later it could be asked for all the same, the job remembers for whom
/// it was stopped.
/// </para>
/// <para>
/// Devices that come free within the grace period anyway are waited for, and longer where stopping others would lose more work than it
/// saves the job in waiting, in device-time both: on a busy cluster some job ends every moment.
/// </para>
/// </remarks>
internal sealed class Preemptor(RunningIndex running, FreeDevices free, QueueLedger ledger, Reserver reserver, CycleTerms terms)
{
    private readonly ImmutableArray<PreemptedJob>.Builder _preemptions = ImmutableArray.CreateBuilder<PreemptedJob>();
    private readonly ImmutableArray<JobResize>.Builder _shrinks = ImmutableArray.CreateBuilder<JobResize>();
    private readonly DateTimeOffset _now = terms.Time;
    private readonly DateTimeOffset _soon = terms.Time + terms.Policy.Grace;

    public IReadOnlyCollection<PreemptedJob> Preemptions => _preemptions;

    public IReadOnlyCollection<JobResize> Shrinks => _shrinks;

    /// <summary>Whether the job's last search left sets of victims untried, without finding one that does.</summary>
    public bool IsUnsettled { get; private set; }

    /// <param name="isFirst">Whether nobody before it in its queue waits in vain: a queue asks for its quota by its first job.</param>
    /// <returns>Whether devices are on their way to the job; it is promised them then.</returns>
    public bool TryMakeRoom(WaitingJob job, WaitingBucket bucket, bool isFirst)
    {
        IsUnsettled = false;
        foreach (var kind in bucket.Shape.Need.Kinds)
        {
            if (MayAsk(job, bucket, kind, isFirst) && reserver.Work > 0 && TryMakeRoom(job, bucket, kind, isFirst))
                return true;
        }

        return false;
    }

    private bool MayAsk(WaitingJob job, WaitingBucket bucket, DeviceClass kind, bool isFirst) =>
        (isFirst && Shares.IsOwed(bucket.Line, kind, job.Need.Fewest)) || running.RunsBelow(bucket.Line, job.Priority);

    private bool TryMakeRoom(WaitingJob job, WaitingBucket bucket, DeviceClass kind, bool isFirst)
    {
        var fewest = job.Need.Fewest;
        var tally = reserver.Tally(bucket.Shape, kind);
        FreeSoon(tally);
        var promised = ledger.Promised(kind);
        if (tally.Fits && IsWithinQuotas())
        {
            Promise(job, bucket, kind, tally, _soon);
            return true;
        }

        var victims = new VictimChoice(running, reserver, tally, terms).For(job, bucket.Line, kind, isFirst);
        var chosen = Search([.. victims.Where(victim => victim.Shrinks)]) ?? Search([.. victims.Select(Whole)]);
        if (chosen is null)
            return false;
        var patience = TimeSpan.FromSeconds(chosen.Sum(victim => victim.Loss) / fewest);
        if (Await(tally, _soon + Shorter(patience, terms.Policy.Patience), IsWithinQuotas) is { } at)
        {
            Promise(job, bucket, kind, tally, at);
            return true;
        }

        foreach (var victim in chosen)
        {
            tally.Free(victim.Frees, victim.Job.Memory);
            Stop(victim, job.Id);
        }

        Promise(job, bucket, kind, tally, _soon);
        return true;

        bool IsWithinQuotas() =>
            QuotaGate.Room(bucket.Line, job.Owner, kind, free.Left(kind) + tally.Freed - promised) >= fewest;

        IReadOnlyList<Victim>? Search(IReadOnlyList<Victim> those)
        {
            if (those.Count == 0)
                return null;
            var search = new VictimSearch(tally, IsWithinQuotas, terms.Policy.VictimSets);
            var found = search.Find(those);
            IsUnsettled |= found is null && !search.IsExhaustive;
            return found is null ? null : Shrunk(found, tally, IsWithinQuotas);
        }

        Victim Whole(Victim victim) => !victim.Shrinks || job.YieldedTo.Contains(victim.Job.Id) ? victim
            : victim with { Frees = victim.Job.Devices, Useful = victim.Job.Devices.Count(tally.Counts) };
    }

    /// <summary>Who can go on with fewer devices is shrunk rather than stopped where that suffices, and keeps what is not needed.</summary>
    private static List<Victim> Shrunk(IReadOnlyList<Victim> victims, RoomTally tally, Func<bool> isWithinQuotas)
    {
        var result = victims.ToList();
        foreach (var victim in result)
            Free(victim);
        for (var i = 0; i < result.Count; i++)
        {
            if (result[i].Job.Facts!.Need is not { MinDevices: > 0 } need || result[i].Job.Devices.Length <= need.Fewest)
                continue;
            var (whole, most) = (result[i], result[i].Job.Devices.Length - need.Fewest);
            ImmutableArray<GrantedDevice> ordered = [.. whole.Job.Devices.OrderByDescending(tally.Counts)];
            // The fewest devices that suffice; none at all was tried before.
            for (var count = 1; count <= most; count++)
            {
                Unfree(result[i]);
                result[i] = whole with { Frees = [.. ordered.Take(count)] };
                Free(result[i]);
                if (tally.Fits && isWithinQuotas())
                    break;
                if (count == most)
                {
                    Unfree(result[i]);
                    Free(result[i] = whole);
                }
            }
        }

        result.ForEach(Unfree);
        return result;

        void Free(Victim victim)
        {
            tally.Free(victim.Frees, victim.Job.Memory);
            victim.Job.Queue.Charge(victim.Job.Owner, victim.Job.Kind, -victim.Frees.Length);
        }

        void Unfree(Victim victim)
        {
            tally.Unfree(victim.Frees, victim.Job.Memory);
            victim.Job.Queue.Charge(victim.Job.Owner, victim.Job.Kind, victim.Frees.Length);
        }
    }

    private void FreeSoon(RoomTally tally)
    {
        foreach (var job in running.Releases)
        {
            if (job.FreeAt > _soon || --reserver.Work < 0)
                break;
            // Who should have ended long ago may go on for long.
            if (!reserver.IsStopped(job.Id) && (job.FreeAt > _now || job.Leaving.Length > 0))
                tally.Free(job.FreeThen, job.Memory);
        }
    }

    /// <summary>Frees, beyond what is free soon, devices in the order in which they are expected to be.</summary>
    /// <returns>When they suffice; null if they do not until then, and the tally is as it was.</returns>
    private DateTimeOffset? Await(RoomTally tally, DateTimeOffset until, Func<bool> isWithinQuotas)
    {
        var freed = new List<RunningJob>();
        foreach (var job in running.Releases.SkipWhile(job => job.FreeAt <= _soon))
        {
            if (job.FreeAt > until || --reserver.Work < 0)
                break;
            if (reserver.IsStopped(job.Id) || tally.Free(job.FreeThen, job.Memory) == 0)
                continue;
            freed.Add(job);
            if (tally.Fits && isWithinQuotas())
                return job.FreeAt;
        }

        freed.ForEach(job => tally.Unfree(job.FreeThen, job.Memory));
        return null;
    }

    private static TimeSpan Shorter(TimeSpan x, TimeSpan y) => x < y ? x : y;

    private void Promise(WaitingJob job, WaitingBucket bucket, DeviceClass kind, RoomTally tally, DateTimeOffset at)
    {
        reserver.Reserve(job, bucket, kind, tally, at);
        ledger.Promise(bucket.Line, job.Owner, kind, job.Need.Fewest);
    }

    private void Stop(Victim victim, JobKey by)
    {
        reserver.Stop(victim.Job, victim.Frees);
        ledger.Leave(victim.Job.Queue, victim.Job.Kind, victim.Frees.Length);
        if (victim.Shrinks)
        {
            var (devices, keeps) = (victim.Job.Devices, victim.Job.Devices.Except(victim.Frees));
            _shrinks.Add(new JobResize(victim.Job.Id, devices.Length, [.. keeps], [], by, victim.Loss) { Cause = victim.Cause });
        }
        else
        {
            _preemptions.Add(new PreemptedJob(victim.Job.Id, by, victim.Cause, victim.Loss, victim.Frees));
        }
    }
}
