using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Queues;

/// <summary>What a queue has of one kind of device, with all queues that lie in it.</summary>
/// <param name="Nominal">Its quota; null: it has none.</param>
/// <param name="MayHave">The most that it gets; null: whatever is idle.</param>
/// <param name="OfCluster">How many of the kind there are.</param>
/// <param name="Past">Beyond its quota while others waited, as a mean in which older use counts less.</param>
public sealed record QueueUse(DeviceKind Kind, int Used, int? Nominal, int? MayHave, int OfCluster, double Past)
{
    /// <summary>Used beyond its quota. One without a quota borrows all that it uses.</summary>
    public int Borrowed => Math.Max(0, Used - (Nominal ?? 0));
}

/// <summary>A queue in the tree, under the one that it lies in.</summary>
/// <param name="Depth">0: it lies in none.</param>
/// <param name="Uses">Of the kinds that it has a quota of, has or has had.</param>
public sealed record QueueLine(int Depth, QueueStatus Status, IReadOnlyList<QueueUse> Uses)
{
    public string Name => Status.Queue.Name;
}

/// <summary>Queues as they lie in each other.</summary>
public static class QueueTree
{
    private static readonly DeviceKind[] Kinds = [DeviceKind.Cuda, DeviceKind.Cpu];

    /// <summary>Each before those that lie in it.</summary>
    public static IReadOnlyList<QueueLine> Of(IReadOnlyList<QueueStatus> queues, IReadOnlyList<Node> nodes)
    {
        var known = queues.Select(queue => queue.Queue.Name).ToHashSet();
        // One whose parent has come or gone between two pages of the list is shown all the same.
        var inner = queues.ToLookup(queue => known.Contains(queue.Queue.Parent) ? queue.Queue.Parent : "");
        var devices = nodes.SelectMany(node => node.Devices).CountBy(device => device.Device.Kind).ToDictionary();
        var lines = new List<QueueLine>();
        Add("", depth: 0);
        return lines;

        void Add(string parent, int depth)
        {
            foreach (var queue in inner[parent].OrderBy(queue => queue.Queue.Name, StringComparer.Ordinal))
            {
                lines.Add(new QueueLine(depth, queue, [.. Kinds.Select(kind => Use(queue, kind)).Where(IsKnown)]));
                Add(queue.Queue.Name, depth + 1);
            }
        }

        QueueUse Use(QueueStatus queue, DeviceKind kind)
        {
            var quota = queue.Queue.Quotas.FirstOrDefault(candidate => candidate.Kind == kind);
            int? nominal = quota is { HasNominal: true } ? quota.Nominal : null;
            int? most = quota is { HasNominal: true, HasBorrowingLimit: true } ? quota.Nominal + quota.BorrowingLimit : null;
            var past = queue.Past.FirstOrDefault(candidate => candidate.Kind == kind)?.Devices ?? 0;
            return new QueueUse(kind, Used(queue, kind), nominal, most, devices.GetValueOrDefault(kind), past);
        }

        int Used(QueueStatus queue, DeviceKind kind) =>
            (queue.Used.FirstOrDefault(candidate => candidate.Kind == kind)?.Devices ?? 0)
            + inner[queue.Queue.Name].Sum(below => Used(below, kind));
    }

    private static bool IsKnown(QueueUse use) => use.Used > 0 || use.Nominal is not null || use.Past > 0;
}
