namespace Cluster.Worker.Agent;

/// <summary>Says why a trainer ended, from what its agent knows.</summary>
internal static class ExitMessage
{
    /// <param name="rank">The rank, after its end.</param>
    /// <param name="end">How the process ended.</param>
    /// <param name="outOfMemoryKills">Processes that the kernel killed for want of memory while it ran, here or in its control group; null:
    /// not known.</param>
    /// <returns>Empty when there is nothing to add to the exit code.</returns>
    public static string For(LocalRank rank, ProcessEnd end, long? outOfMemoryKills)
    {
        if (rank.Fault.Length > 0)
            return rank.Fault;
        if (rank.KilledBecause.Length > 0)
            return $"killed by the agent: {rank.KilledBecause}";
        if (end.Signal == Libc.Sigkill && outOfMemoryKills > 0)
            return "most likely killed by the kernel for want of memory (its count of such kills rose); "
                + "lower globalBatchSize, the model's width or the ranks on a node";
        return end.Signal == Libc.Sigkill
            ? "killed from outside: neither the agent nor, as far as its counters show, the kernel did it"
            : "";
    }
}
