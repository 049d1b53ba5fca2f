using Cluster.Contracts.V1;
using Cluster.Worker;
using Cluster.Worker.Agent;

namespace Cluster.Bench.Measuring;

/// <summary>What our agent starts a trainer with: its environment and, on CPUs, its cores.</summary>
/// <param name="Environment">The whole of it.</param>
/// <param name="Cores">That the process is bound to.</param>
internal sealed record TrainerPlace(IReadOnlyDictionary<string, string> Environment, IReadOnlyList<int> Cores)
{
    /// <summary>Ranks have neighbouring cores; where there are too few the last ranks share those of the first.</summary>
    /// <param name="launch">The rank's order.</param>
    /// <param name="gpu">What CUDA calls its GPU; empty for CPUs.</param>
    public static TrainerPlace Of(TrainerLaunch launch, string gpu = "")
    {
        var cores = Libc.ThreadCores();
        var first = launch.LocalRank * launch.Threads;
        return new TrainerPlace(
            TrainerEnvironment.For(System.Environment.GetEnvironmentVariables(), launch, gpu),
            [.. Enumerable.Range(first, launch.Threads).Select(place => cores[place % cores.Count]).Distinct()]);
    }

    /// <summary>The same with further settings.</summary>
    public TrainerPlace With(IReadOnlyDictionary<string, string> variables)
    {
        var environment = new Dictionary<string, string>(Environment);
        foreach (var (name, value) in variables)
            environment[name] = value;
        return this with { Environment = environment };
    }

    /// <summary>A job's only rank, with one thread, on the core of that number among this process's.</summary>
    public static TrainerPlace Alone(int core) =>
        Of(new TrainerLaunch { LocalRank = core, WorldSize = 1, Threads = 1, Device = $"cpu:{core}" });

    /// <summary>A rank on this machine, with so many threads.</summary>
    public static TrainerPlace Of(int rank, int worldSize, int threads) =>
        Of(new TrainerLaunch { Rank = rank, LocalRank = rank, WorldSize = worldSize, Threads = threads, Device = $"cpu:{rank}" });

    /// <summary>A rank on this machine's first GPU, which others may share.</summary>
    public static TrainerPlace OnGpu(int rank, int worldSize, int threads) =>
        Of(new TrainerLaunch { Rank = rank, LocalRank = rank, WorldSize = worldSize, Threads = threads, Device = "cuda:0" }, gpu: "0") with
        {
            Cores = Libc.ThreadCores(),
        };
}
