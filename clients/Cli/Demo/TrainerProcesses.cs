using System.Diagnostics;
using System.Globalization;

namespace Cluster.Cli.Demo;

/// <summary>The trainers of this machine as /proc shows them. Linux only, as the demo is.</summary>
/// <param name="procFolder">/proc, or what a test puts in its place.</param>
internal sealed class TrainerProcesses(string procFolder = "/proc")
{
    /// <summary>Process ids and ranks of a job's trainers, by rank.</summary>
    public IReadOnlyList<(int ProcessId, int Rank)> Of(string jobId) =>
    [
        .. Directory.EnumerateDirectories(procFolder)
            .Select(folder => int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0)
            .Where(id => id > 0)
            .Select(id => (ProcessId: id, Rank: RankIn(CommandLineOf(id), jobId)))
            .Where(found => found.Rank >= 0)
            .OrderBy(found => found.Rank),
    ];

    /// <summary>kill -9: the process gets no chance to write anything.</summary>
    /// <returns>False if it had ended by itself.</returns>
    public static bool Kill(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            process.Kill();
            return true;
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }

    // "…/Cluster.Worker trainer --job ID --attempt N --rank R"; -1 for any other command line.
    private static int RankIn(string[] arguments, string jobId)
    {
        var isTrainer = arguments.Any(argument => Path.GetFileName(argument) is "Cluster.Worker" or "Cluster.Worker.dll")
            && arguments.Contains("trainer") && After("--job") == jobId;
        return isTrainer && int.TryParse(After("--rank"), NumberStyles.None, CultureInfo.InvariantCulture, out var rank) ? rank : -1;

        string? After(string option) =>
            Array.IndexOf(arguments, option) is >= 0 and var at && at + 1 < arguments.Length ? arguments[at + 1] : null;
    }

    private string[] CommandLineOf(int processId)
    {
        try
        {
            return File.ReadAllText(Path.Combine(procFolder, $"{processId}", "cmdline")).Split('\0');
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            // Processes end while /proc is being read.
            return [];
        }
    }
}
