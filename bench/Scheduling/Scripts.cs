namespace Cluster.Bench.Scheduling;

/// <summary>What both contestants run, and how the peer's clients are timed: scripts of <c>bench/peers</c>.</summary>
internal static class Scripts
{
    /// <summary>In the place of the first port: the process neither tells that it began, nor ends.</summary>
    public const string Hold = "hold";

    /// <summary>Program and first arguments of what stands where a trainer would.</summary>
    /// <param name="port">Where it tells that it began.</param>
    /// <param name="worker">For what an agent starts besides trainers.</param>
    public static IReadOnlyList<string> StandIn(string port, string worker) => ["/bin/bash", PathOf("stand-in.sh"), port, worker];

    public static string PathOf(string script) => Path.Combine(AppContext.BaseDirectory, "peers", script);
}
