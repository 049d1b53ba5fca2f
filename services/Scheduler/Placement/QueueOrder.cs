namespace Cluster.Scheduler.Placement;

/// <summary>Who comes first.</summary>
internal static class QueueOrder
{
    /// <summary>Priority, a larger number first; then age; then id, so that every scheduler sorts alike.</summary>
    public static IReadOnlyList<WaitingJob> Sort(IEnumerable<WaitingJob> waiting) =>
        [.. waiting.OrderByDescending(j => j.Priority).ThenBy(j => j.Age).ThenBy(j => j.Id.Value)];
}
