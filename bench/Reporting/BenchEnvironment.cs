using System.Diagnostics;
using System.Reflection;
using Cluster.Bench.Measuring;
using Cluster.Worker;
using Cluster.Worker.Devices;
using Cluster.Worker.Training;
using TorchSharp;

namespace Cluster.Bench.Reporting;

/// <summary>What figures depend on besides the code. Nothing is changed here: what is set is shown.</summary>
internal static class BenchEnvironment
{
    private static readonly string[] Prefixes =
        ["OMP_", "OPENBLAS_", "MKL_", "GOMP_", "KMP_", "MALLOC_", "LD_PRELOAD", "DOTNET_", "ATEN_", "ONEDNN_", "DNNL_"];

    /// <summary>Of the command-line tool that builds.</summary>
    private static readonly string[] ToolPrefixes = ["DOTNET_CLI_", "DOTNET_NOLOGO", "DOTNET_GENERATE_", "DOTNET_ROOT"];

    /// <summary>Those that libraries choose their kernels by.</summary>
    private static readonly string[] InstructionSetNames =
        ["avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16"];

    /// <param name="report">That it begins.</param>
    /// <param name="peers">Whether Python's PyTorch is among those who are measured.</param>
    public static void Print(RatioReport report, bool peers = true)
    {
        report.Note(
            $"Processor: {EnvironmentReport.CpuModel("/proc/cpuinfo")}, {Libc.ThreadCores().Count} cores; "
            + $"instruction sets: {InstructionSetsOf("/proc/cpuinfo")}");
        report.Note(
            $"ours: TorchSharp {VersionOf(typeof(torch))} on libtorch {torch.__version__}, "
            + $".NET {Environment.Version}, {Environment.OSVersion}");
        if (peers)
            report.Note($"peers: {PeerVersions()}");
        using (var nvml = Nvml.TryOpen(out _))
        {
            if (nvml is not null)
                report.Note($"GPU: {string.Join(", ", nvml.Gpus().Select(gpu => gpu.Model))}, driver {nvml.DriverVersion()}");
        }

        report.Note(
            $"load at the start: {LoadAverage()} (1, 5 and 15 minutes; figures mean little where it exceeds what the bench itself runs)");
        var settings = Environment.GetEnvironmentVariables().Keys.Cast<string>()
            .Where(name => Array.Exists(Prefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal))
                && !Array.Exists(ToolPrefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal)
            .Select(name => $"{name}={Environment.GetEnvironmentVariable(name)}")
            .DefaultIfEmpty("none");
        report.Note($"settings of threads, BLAS and allocator: {string.Join(" ", settings)}");
    }

    private static string VersionOf(Type type) =>
        type.Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    private static string PeerVersions()
    {
        using var python = Process.Start(MeasuredProcess.Python("versions.py", redirected: true))!;
        var line = python.StandardOutput.ReadToEnd().Trim();
        python.WaitForExit();
        return python.ExitCode == 0
            ? line
            : throw new InvalidOperationException("PyTorch cannot be imported; install Debian's python3-torchvision");
    }

    /// <summary>The kernel's "flags" (x86) or "Features" (Arm) of the first processor.</summary>
    private static string InstructionSetsOf(string path)
    {
        var line = File.ReadLines(path).FirstOrDefault(
            line => line.StartsWith("flags", StringComparison.Ordinal) || line.StartsWith("Features", StringComparison.Ordinal));
        return string.Join(" ", InstructionSetNames.Intersect(line?.Split(' ') ?? []).DefaultIfEmpty("unknown"));
    }

    private static string LoadAverage() => string.Join(" ", File.ReadAllText("/proc/loadavg").Split(' ')[..3]);
}
