using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Jobs;

/// <summary>What a rank says of a step that hangs.</summary>
/// <param name="Operation">The exchange in which it waits for its peers; empty: it is in none.</param>
/// <param name="Since">When it was first heard of.</param>
internal sealed record RankStall(long Step, string Operation, DateTimeOffset Since)
{
    /// <summary>
    /// "step 41 hangs: rank 1 on node-b (cpu:0) is in no exchange; rank 0 waits in an all-reduce …". Who does not wait is waited for.
    /// </summary>
    public static string Describe(IEnumerable<DeviceGrantRow> ranks, IReadOnlyDictionary<int, RankStall> stalls)
    {
        var live = ranks.Where(rank => rank.GoneAt is null).ToList();
        var waiting = live.Where(rank => stalls.TryGetValue(rank.Rank, out var stall) && stall.Operation.Length > 0).ToList();
        var others = live.Except(waiting).ToList();
        var parts = new List<string>();
        if (others.Count > 0)
        {
            var first = $"{AttemptVerdict.Name(others[0])} {(stalls.ContainsKey(others[0].Rank) ? "is in no exchange" : "says nothing")}";
            parts.Add(others.Count == 1 ? first : $"{first}, nor do {others.Count - 1} more wait");
        }

        // Where all wait it is the difference that tells.
        parts.AddRange(waiting.GroupBy(rank => stalls[rank.Rank].Operation).Select(same =>
            $"{(same.Count() == 1 ? $"rank {same.First().Rank} waits" : $"{same.Count()} ranks, from rank {same.First().Rank}, wait")} "
                + $"in {same.Key}"));
        return $"step {stalls.Values.Max(stall => stall.Step)} hangs: {string.Join("; ", parts)}";
    }
}
