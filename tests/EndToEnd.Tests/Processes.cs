using System.Runtime.InteropServices;

namespace Cluster.EndToEnd.Tests;

/// <summary>The machine's processes, found by their command lines.</summary>
internal static partial class Processes
{
    public const int Kill = 9;

    // Linux on x86-64 and arm64.
    public const int Continue = 18;
    public const int Stop = 19;

    /// <summary>Ids of the processes whose command line contains <paramref name="marker"/>, its arguments joined by blanks.</summary>
    public static IReadOnlyList<int> With(string marker) =>
        [.. Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Select(int.Parse!)
            .Where(id => CommandLine(id).Contains(marker, StringComparison.Ordinal))];

    /// <summary>The trainers of a job, by rank.</summary>
    public static IReadOnlyList<int> TrainersOf(string jobId) => With($"trainer --job {jobId}");

    public static void Signal(int processId, int signal) => TrySignal(processId, signal).ShouldBeTrue();

    /// <returns>False where there is no such process any more.</returns>
    public static bool TrySignal(int processId, int signal) => kill(processId, signal) == 0;

    /// <summary>The processes that it has started and that are still its own.</summary>
    public static IReadOnlyList<int> ChildrenOf(int processId) =>
        [.. Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Select(int.Parse!)
            .Where(id => Read(id, "status").Contains($"\nPPid:\t{processId}\n", StringComparison.Ordinal))];

    /// <summary>Whether a port of this machine is that of a process's own end of a TCP connection.</summary>
    public static bool IsOwnPort(int processId, int port)
    {
        // The columns local_address and inode of proc(5).
        var inodes = File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6"))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(columns => columns[1].EndsWith($":{port:X4}", StringComparison.Ordinal)).Select(columns => $"socket:[{columns[9]}]")
            .ToHashSet();
        return Directory.EnumerateFiles($"/proc/{processId}/fd").Any(file => inodes.Contains(LinkOf(file)));
    }

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

    /// <summary>Empty where there is no such process, or it ends.</summary>
    public static string CommandLine(int id) => Read(id, "cmdline").Replace('\0', ' ');

    /// <summary>A variable that a process was started with; empty where it was not.</summary>
    public static string VariableOf(int id, string name) => Read(id, "environ").Split('\0')
        .FirstOrDefault(variable => variable.StartsWith(name + "=", StringComparison.Ordinal))?[(name.Length + 1)..] ?? "";

    private static string LinkOf(string file)
    {
        try
        {
            return File.ResolveLinkTarget(file, returnFinalTarget: false)?.Name ?? "";
        }
        catch (IOException)
        {
            // It was closed while the list was read.
            return "";
        }
    }

    private static string Read(int id, string file)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/{file}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It ended while the list was read, or is another user's.
            return "";
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);
}
