namespace Cluster.Placement.Queues;

/// <summary>Which queues use devices beyond their quota that others wait for: that counts against them later.</summary>
internal static class UseRecorder
{
    /// <param name="waiting">Lines in which jobs wait, and for devices of which kinds.</param>
    /// <returns>Those for which this has changed.</returns>
    public static IEnumerable<ClusterChange.QueueUsed> Record(
        QueueTree queues, IReadOnlyCollection<(QueueNode Line, DeviceClass Kind)> waiting, DateTimeOffset now, TimeSpan halfLife)
    {
        if (queues.IsOneLine)
            yield break;
        var all = new Dictionary<DeviceClass, int>();
        var within = new Dictionary<(QueueNode, DeviceClass), int>();
        foreach (var (line, kind) in waiting)
        {
            all[kind] = all.GetValueOrDefault(kind) + 1;
            foreach (var queue in line.Path)
                within[(queue, kind)] = within.GetValueOrDefault((queue, kind)) + 1;
        }

        foreach (var queue in queues.Declared)
        {
            var rate = new DeviceCounts(Wanted(queue, DeviceClass.Cpu), Wanted(queue, DeviceClass.Cuda));
            if (rate != queue.Past.Rate)
                yield return new ClusterChange.QueueUsed(queue.Key, new PastUse(now, queue.Past.At(now, halfLife), rate));
        }

        double Wanted(QueueNode queue, DeviceClass kind) =>
            all.GetValueOrDefault(kind) > within.GetValueOrDefault((queue, kind)) ? queue.Borrowed(kind) : 0;
    }
}
