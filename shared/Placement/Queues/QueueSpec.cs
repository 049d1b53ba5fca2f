using System.Collections.Immutable;

namespace Cluster.Placement.Queues;

/// <summary>A queue as somebody declared it. Jobs of a queue that nobody has declared wait in <see cref="QueueKey.Default"/>.</summary>
/// <param name="Parent">Its share comes out of the parent's; null: out of the cluster.</param>
public sealed record QueueSpec(QueueKey Key, QueueKey? Parent = null)
{
    /// <summary>How much of what is left beyond quotas it gets, against its siblings' weights.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>A kind that is not here has no quota: nothing is owed and nothing is limited.</summary>
    public ImmutableDictionary<DeviceClass, Quota> Quotas { get; init; } = ImmutableDictionary<DeviceClass, Quota>.Empty;

    /// <summary>The most devices of a kind that one owner's jobs hold in the queue.</summary>
    public ImmutableDictionary<DeviceClass, int> OwnerLimits { get; init; } = ImmutableDictionary<DeviceClass, int>.Empty;

    /// <summary>What is wrong with these queues, as settings with their values and a remedy; empty if nothing is.</summary>
    public static IEnumerable<string> Check(IReadOnlyCollection<QueueSpec> queues)
    {
        foreach (var queue in queues)
        {
            if (!(queue.Weight > 0))
                yield return $"weight of queue '{queue.Key}' is {queue.Weight}; give it a number above 0";
            if (queue.Parent is { } parent && !queues.Any(other => other.Key == parent))
                yield return $"parent of queue '{queue.Key}' is '{parent}', which is not declared; declare it, or leave parent out";
            if (LiesInItself(queue, queues))
                yield return $"parent of queue '{queue.Key}' is '{queue.Parent}', which lies in it; name another, or leave parent out";
            foreach (var (kind, limit) in queue.OwnerLimits.Where(limit => limit.Value < 0))
                yield return $"the {kind} owner limit of queue '{queue.Key}' is {limit}; raise it to 0";
            foreach (var (kind, quota) in queue.Quotas)
            {
                if (quota.Nominal < 0 || quota.BorrowingLimit < 0 || quota.LendingLimit < 0)
                    yield return $"the {kind} quota of queue '{queue.Key}' has a number below 0; raise it to 0";
                var children = queues.Where(child => child.Parent == queue.Key)
                    .Sum(child => (long)(child.Quotas.GetValueOrDefault(kind)?.Nominal ?? 0));
                if (children > quota.Nominal)
                {
                    yield return $"the {kind} quota of queue '{queue.Key}' is {quota.Nominal} but those of its children come to "
                        + $"{children}; raise it or lower theirs";
                }
            }
        }
    }

    private static bool LiesInItself(QueueSpec queue, IReadOnlyCollection<QueueSpec> queues)
    {
        var above = queue;
        // A way that is longer than there are queues goes in a circle, with this one in it or not.
        for (var steps = 0; steps < queues.Count && above?.Parent is { } parent; steps++)
        {
            if (parent == queue.Key)
                return true;
            above = queues.FirstOrDefault(other => other.Key == parent);
        }

        return false;
    }

    /// <summary>Equal texts only for equal queues.</summary>
    internal string Describe() =>
        $"{Key} in {Parent} weight {Weight:R} "
        + string.Join(", ", Quotas.OrderBy(q => q.Key).Select(q => $"{q.Key} {q.Value}"))
        + string.Join(", ", OwnerLimits.OrderBy(l => l.Key).Select(l => $" {l.Key} owner {l.Value}"));
}
