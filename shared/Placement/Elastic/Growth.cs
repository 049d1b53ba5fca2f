using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Elastic;

/// <summary>Gives elastic jobs devices that stand idle: that nobody waits for, and nobody is promised.</summary>
internal sealed class Growth(RunningIndex running, FreeDevices free, QueueLedger ledger, Shares shares, CycleTerms terms)
{
    /// <param name="isStopped">Whether the job has just been told to release devices.</param>
    /// <param name="wanted">Nodes whose devices of a kind somebody waits for.</param>
    public IEnumerable<JobResize> Grow(Func<JobKey, bool> isStopped, Func<NodeGroup, DeviceClass, bool> wanted)
    {
        var may = running.Growable.Where(job => MayGrow(job) && !isStopped(job.Id)).ToList();
        foreach (var job in may.OrderBy(job => shares.Of(job.Queue)).ThenBy(job => job.Facts!.StartedAt).ThenBy(job => job.Id.Value))
        {
            var need = job.Facts!.Need!;
            var room = QuotaGate.Room(job.Queue, job.Owner, job.Kind, free.Left(job.Kind) - ledger.Promised(job.Kind));
            var more = Math.Min(need.Devices - job.Devices.Length, room);
            if (more <= 0 || IsTooLate(job, more))
                continue;
            var open = free.Open(new Shape(need.Shape(), need), job.Kind).Where(group => !wanted(group, job.Kind)).ToList();
            // A limit of devices a node is kept on the nodes that it has by taking none there.
            var avoid = need.MaxPerNode > 0 ? job.Devices.Select(device => device.Node).ToHashSet() : GangChoice.None;
            var gains = free.Extend(need with { Devices = (int)more }, job.Kind, open, avoid);
            if (gains.Length == 0)
                continue;
            ledger.Charge(job.Queue, job.Owner, job.Kind, gains.Length);
            yield return new JobResize(job.Id, job.Devices.Length, job.Devices, gains, null, job.Loss(terms.Time));
        }
    }

    /// <summary>Whether the time that it would gain is less than the restart costs.</summary>
    private bool IsTooLate(RunningJob job, long more) =>
        job.Facts!.End is { } end && (end.Likely - terms.Time) * (more / (double)(job.Devices.Length + more)) < job.Facts.Restarting;

    private bool MayGrow(RunningJob job) =>
        job.Facts is { Release: null } facts && terms.Time - (facts.ResizedAt ?? facts.StartedAt) >= terms.Policy.BetweenResizes;
}
