using System.Reflection;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Training;

/// <summary>What a bit-identical rerun needs to match.</summary>
internal static class EnvironmentReport
{
    public static RunEnvironment Take(ICollectiveGroup group, ImageClassifier network, int threads) => new()
    {
        WorldSize = group.WorldSize,
        ThreadsPerRank = threads,
        CpuModel = CpuModel("/proc/cpuinfo"),
        LibtorchVersion = torch.__version__,
        TrainerVersion =
            typeof(EnvironmentReport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "",
        ParameterCount = network.ParameterCount,
    };

    /// <summary>The kernel's "model name", or "unknown" where it gives none (Arm).</summary>
    internal static string CpuModel(string path)
    {
        if (!File.Exists(path))
            return "unknown";
        var line = File.ReadLines(path).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal));
        return line is null ? "unknown" : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }
}
