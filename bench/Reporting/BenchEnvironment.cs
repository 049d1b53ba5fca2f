using Cluster.Worker;
using Cluster.Worker.Devices;
using Cluster.Worker.Training;
using TorchSharp;

namespace Cluster.Bench.Reporting;

/// <summary>What figures depend on besides the code. Nothing is changed here: what is set is shown.</summary>
internal static class BenchEnvironment
{
    private static readonly string[] Prefixes = ["OMP_", "OPENBLAS_", "MKL_", "GOMP_", "KMP_", "MALLOC_", "LD_PRELOAD", "DOTNET_"];

    public static void Print(RatioReport report)
    {
        report.Note($"CPU: {EnvironmentReport.CpuModel("/proc/cpuinfo")}, {Libc.ThreadCores().Count} cores; libtorch {torch.__version__}, "
            + $"{torch.get_num_threads()} threads; .NET {Environment.Version}");
        using (var nvml = Nvml.TryOpen(out _))
        {
            if (nvml is not null)
                report.Note($"GPU: {string.Join(", ", nvml.Gpus().Select(gpu => gpu.Model))}, driver {nvml.DriverVersion()}");
        }

        report.Note($"load: {LoadAverage()} (1, 5 and 15 minutes; figures mean little where it exceeds what the bench itself runs)");
        var settings = Environment.GetEnvironmentVariables().Keys.Cast<string>()
            .Where(name => Array.Exists(Prefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal)
            .Select(name => $"{name}={Environment.GetEnvironmentVariable(name)}")
            .DefaultIfEmpty("none");
        report.Note($"settings of threads, BLAS and allocator: {string.Join(" ", settings)}");
    }

    private static string LoadAverage() => string.Join(" ", File.ReadAllText("/proc/loadavg").Split(' ')[..3]);
}
