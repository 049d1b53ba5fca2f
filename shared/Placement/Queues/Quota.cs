namespace Cluster.Placement.Queues;

/// <summary>What a queue is owed of one kind of device, and how far it may go.</summary>
/// <param name="Nominal">So many it gets whenever it asks for them; others use what it leaves idle until it does.</param>
/// <param name="BorrowingLimit">The most beyond <paramref name="Nominal"/>; null: whatever is idle.</param>
/// <param name="LendingLimit">The most of <paramref name="Nominal"/> that others may use; null: all that is idle.</param>
public sealed record Quota(int Nominal, int? BorrowingLimit = null, int? LendingLimit = null);
