using System.Runtime.InteropServices;

namespace Cluster.EndToEnd.Tests;

/// <summary>The machine's processes, found by their command lines.</summary>
internal static partial class Processes
{
    public const int Kill = 9;

    // Linux on x86-64 and arm64.
    private const int Continue = 18;
    private const int Stop = 19;

    /// <summary>Ids of the processes whose command line contains <paramref name="marker"/>, its arguments joined by blanks.</summary>
    public static IReadOnlyList<int> With(string marker) =>
        [.. Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Select(int.Parse!)
            .Where(id => CommandLine(id).Contains(marker, StringComparison.Ordinal))];

    /// <summary>The trainers of a job, by rank.</summary>
    public static IReadOnlyList<int> TrainersOf(string jobId) => With($"trainer --job {jobId}");

    public static void Signal(int processId, int signal) => kill(processId, signal).ShouldBe(0);

    /// <summary>Kills a process and returns when it is gone: until then it would pass for one that runs.</summary>
    public static Task KillAsync(int processId, CancellationToken cancellationToken)
    {
        Signal(processId, Kill);
        return Eventually.BeTrueAsync(() => CommandLine(processId).Length == 0, "the killed process is gone", cancellationToken);
    }

    /// <summary>Stops a process, as a debugger or a virtual machine that is moved would, and lets it go on afterwards.</summary>
    public static async Task PauseAsync(int processId, Func<Task> meanwhile)
    {
        Signal(processId, Stop);
        try
        {
            await meanwhile();
        }
        finally
        {
            Signal(processId, Continue);
        }
    }

    private static string CommandLine(int id)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/cmdline").Replace('\0', ' ');
        }
        catch (IOException)
        {
            // It ended while the list was read.
            return "";
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);
}
