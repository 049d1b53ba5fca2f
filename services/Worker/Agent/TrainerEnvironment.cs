using System.Collections;
using System.Globalization;
using Cluster.Contracts.V1;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Agent;

/// <summary>What a trainer's process is started with. Its libraries read these once, when they load, so they must stand before.</summary>
internal static class TrainerEnvironment
{
    private const string YoungestBytes = "400000"; // 4 MiB, in hex

    // The agent's own settings, and secrets that a trainer has no use for.
    private static readonly string[] HiddenPrefixes = ["Agent__", "Agent:", "CLUSTER_", "ConnectionStrings__", "PGPASS", "ASPNETCORE_",
        "Kestrel__", "Tls__", "Tls:"];

    /// <param name="inherited">The agent's environment.</param>
    /// <param name="launch">The rank's order.</param>
    /// <param name="gpu">UUID of its GPU; empty for a CPU slot.</param>
    public static IReadOnlyDictionary<string, string> For(IDictionary inherited, TrainerLaunch launch, string gpu = "") =>
        For(inherited, launch, gpu, Jemalloc.Path);

    /// <param name="inherited">The agent's environment.</param>
    /// <param name="launch">The rank's order.</param>
    /// <param name="gpu">UUID of its GPU; empty for a CPU slot.</param>
    /// <param name="jemalloc">Path of the library; null where it is not installed.</param>
    internal static IReadOnlyDictionary<string, string> For(IDictionary inherited, TrainerLaunch launch, string gpu, string? jemalloc)
    {
        var environment = new Dictionary<string, string>();
        foreach (DictionaryEntry entry in inherited)
        {
            var name = (string)entry.Key;
            if (!Array.Exists(HiddenPrefixes, prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)))
                environment[name] = (string?)entry.Value ?? "";
        }

        var threads = launch.Threads.ToString(CultureInfo.InvariantCulture);
        environment["OMP_NUM_THREADS"] = threads;
        environment["MKL_NUM_THREADS"] = threads;
        // Ranks share the machine: a thread that spins while it waits takes the core that its peer computes on.
        environment["OMP_WAIT_POLICY"] = "passive";
        // One heap, and freed memory kept: an activation's buffer is then reused in the next step instead of being given to
        // the kernel and faulted in again. A fifth of a training step, measured on VGG-11 and ResNet-18. Taken in huge pages, where the
        // kernel gives them: a heap that still grows was seen to fault up to 18,000 small pages in a step of AlexNet, and tens of huge
        // ones.
        if (jemalloc is not null)
        {
            environment["LD_PRELOAD"] = Joined(environment.GetValueOrDefault("LD_PRELOAD"), jemalloc);
            environment["MALLOC_CONF"] = Joined(
                "narenas:1,dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always", environment.GetValueOrDefault("MALLOC_CONF"), ',');
        }

        // The same of glibc's, which is the heap where jemalloc is not installed.
        environment["MALLOC_ARENA_MAX"] = "1";
        environment["MALLOC_MMAP_THRESHOLD_"] = "1073741824";
        environment["MALLOC_TRIM_THRESHOLD_"] = "2147483647";
        environment["MALLOC_TOP_PAD_"] = "67108864";
        // before 2.35 it is passed over
        environment["GLIBC_TUNABLES"] = Joined("glibc.malloc.hugetlb=1", environment.GetValueOrDefault("GLIBC_TUNABLES"));
        // Managed code only steers: one small heap, no thread a core for collecting it. Left alone, its youngest generation is collected
        // once it is as large as the processor's last cache, up to 200 MB: garbage that small steps pile up for thousands of them.
        environment["DOTNET_gcServer"] = "0";
        environment["DOTNET_gcConcurrent"] = "0";
        environment["DOTNET_GCgen0size"] = YoungestBytes;
        environment["DOTNET_GCgen0MaxBudget"] = YoungestBytes;
        environment["RANK"] = launch.Rank.ToString(CultureInfo.InvariantCulture);
        environment["LOCAL_RANK"] = launch.LocalRank.ToString(CultureInfo.InvariantCulture);
        environment["WORLD_SIZE"] = launch.WorldSize.ToString(CultureInfo.InvariantCulture);
        // By name: an index means another card once one is added, lost or hidden, and none at all of MIG's instances.
        environment[VisibleGpus.Setting] = gpu;
        // Streams that share one of the card's queues wait for each other, and a message's kernel waits for the peer: with CUDA's 8
        // queues a rank that computes, is fed, sends and receives could wait for itself.
        if (gpu.Length > 0)
            environment["CUDA_DEVICE_MAX_CONNECTIONS"] = "32";
        if (gpu.Length > 0 && launch.Spec?.Hyperparameters?.Deterministic == true)
        {
            // The sizes of workspace at which cuBLAS, called from several streams, takes the same kernels in every run (cuBLAS, "Results
            // Reproducibility"); NCCL's choice by size and topology left no room either: a ring adds in the order of its ranks.
            environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8";
            environment["NCCL_ALGO"] = "Ring";
            environment["NCCL_PROTO"] = "Simple";
        }

        return environment;
    }

    /// <summary>
    /// Of two settings of one thing the libraries take the last, and of two libraries with one function the first: so what somebody has set
    /// himself counts.
    /// </summary>
    private static string Joined(string? first, string? second, char separator = ':') =>
        string.Join(separator, ((string?[])[first, second]).Where(part => !string.IsNullOrEmpty(part)));
}
