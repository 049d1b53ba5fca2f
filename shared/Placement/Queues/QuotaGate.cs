namespace Cluster.Placement.Queues;

/// <summary>How many devices more a queue may use: by its limits, by its owners', and by what others do not lend.</summary>
internal static class QuotaGate
{
    /// <param name="free">How many devices of the kind are free.</param>
    public static long Room(QueueNode line, string owner, DeviceClass kind, long free)
    {
        var room = long.MaxValue;
        foreach (var queue in line.Path)
        {
            if (queue.Ceiling(kind) is { } ceiling)
                room = Math.Min(room, ceiling - queue.Used(kind));
            if (queue.OwnerLimit(kind) is { } limit)
                room = Math.Min(room, limit - queue.UsedBy(owner, kind));
        }

        return KeptByOthers(line, kind) is var kept and > 0 ? Math.Min(room, free - kept) : room;
    }

    /// <summary>
    /// Whether the job cannot start for a limit that no other queue and no other owner has a part in: it is more than they allow at all,
    /// or its owner has what the limit allows.
    /// </summary>
    public static bool IsOutOfQuestion(QueueNode line, WaitingJob job)
    {
        foreach (var kind in job.Need.Kinds)
        {
            var (may, devices) = (true, job.Need.Fewest);
            foreach (var queue in line.Path)
                may &= !(queue.Ceiling(kind) < devices) && !(queue.OwnerLimit(kind) - queue.UsedBy(job.Owner, kind) < devices);
            if (may)
                return false;
        }

        return true;
    }

    /// <summary>The queue of whose limit too little is left for so many devices; null if there is none.</summary>
    public static QueueNode? FullFor(QueueNode line, DeviceClass kind, int devices)
    {
        foreach (var queue in line.Path)
        {
            if (queue.Ceiling(kind) - queue.Used(kind) < devices)
                return queue;
        }

        return null;
    }

    /// <summary>Of a job for which there is no room: why.</summary>
    public static WaitReason Explain(QueueNode line, string owner, DeviceClass kind, int devices)
    {
        var noun = kind == DeviceClass.Cpu ? "cpu" : "cuda";
        foreach (var queue in line.Path)
        {
            if (queue.OwnerLimit(kind) is { } limit && queue.UsedBy(owner, kind) + devices > limit)
            {
                return new WaitReason(WaitCause.WaitingForOwnerLimit,
                    $"needs {devices} {noun} {Devices(devices)}, but {owner} has {queue.UsedBy(owner, kind)} of the {limit} that one "
                    + $"owner may have in queue '{queue.Key}'");
            }

            if (queue.Ceiling(kind) is { } ceiling && queue.Used(kind) + devices > ceiling)
            {
                return new WaitReason(WaitCause.WaitingForQuota,
                    $"needs {devices} {noun} {Devices(devices)}, but queue '{queue.Key}' has {queue.Used(kind)} of the {ceiling} that it "
                    + "may have");
            }
        }

        return new WaitReason(WaitCause.WaitingForQuota,
            $"needs {devices} {noun} {Devices(devices)}, but what is idle beyond that other queues do not lend");
    }

    private static long KeptByOthers(QueueNode line, DeviceClass kind)
    {
        var kept = 0L;
        foreach (var queue in line.Path)
            kept += queue.KeptBySiblings(kind);
        return kept;
    }

    private static string Devices(int devices) => devices == 1 ? "device" : "devices";
}
