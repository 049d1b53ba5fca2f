using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Cluster.Models.Tests;

/// <summary>
/// Runs a reference script with the system's PyTorch: Debian's python3-torch belongs to /usr/bin/python3, whatever else is first on the
/// path.
/// </summary>
internal static class PythonTorch
{
    public static async Task RunAsync(string script, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("/usr/bin/python3", [Path.Combine(SourceFolder(), script), .. arguments])
        {
            RedirectStandardError = true,
            UseShellExecute = false,
            Environment =
            {
                ["OMP_NUM_THREADS"] = "1",
                ["OPENBLAS_NUM_THREADS"] = "1",
                ["PYTHONDONTWRITEBYTECODE"] = "1",
                // Freed tensors are kept: given back to the kernel and faulted in anew, they take most of a large net's time.
                ["MALLOC_MMAP_THRESHOLD_"] = "1073741824",
                ["MALLOC_TRIM_THRESHOLD_"] = "2147483647",
            },
        };
        using var python = Process.Start(start)!;
        var errors = await python.StandardError.ReadToEndAsync(cancellationToken);
        await python.WaitForExitAsync(cancellationToken);
        python.ExitCode.ShouldBe(0, errors);
    }

    private static string SourceFolder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
